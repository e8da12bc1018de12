/** Whether suites that don't choose themselves run with the fast path: as daemons do, unless COPSE_TEST_FAST_PATH=off. */
export const fastPathByDefault: boolean = process.env['COPSE_TEST_FAST_PATH'] !== 'off';
