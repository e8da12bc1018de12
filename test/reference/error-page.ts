/** The page of error codes, printed from the table in `src/base/error-code.ts`. */

import { errorKinds } from '../../src/base/error-code/kind.js';
import { errorParts } from '../../src/base/error-code.js';
import { markdownTable } from '../support/doc-section.js';

const head = `# Errors

<!-- Printed by dist/test/reference/print.js from src/base/error-code.ts. -->

Every error has a stable code for programs and a message for people. The kind of a code decides the
HTTP status of the admin API and the exit code of \`copse\`. Codes of the operating system, such as
\`ENOSPC\`, keep Node.js' names.
`;

/** @returns the whole page */
export function printedErrors(): string {
  const kinds = Object.entries(errorKinds).map(([kind, { httpStatus, exitCode, nbdErrno, meaning }]) => [
    `\`${kind}\``,
    String(httpStatus),
    String(exitCode),
    `\`${nbdErrno}\``,
    meaning,
  ]);
  const parts = Object.entries(errorParts).map(([part, entries]) => {
    const rows = Object.entries(entries).map(([code, [kind, meaning, remedy]]) => [`\`${code}\``, `\`${kind}\``, meaning, remedy]);
    return `## ${part}\n\n${markdownTable(['code', 'kind', 'meaning', 'remedy'], rows)}\n`;
  });
  return [head, `## Kinds\n\n${markdownTable(['kind', 'HTTP status', 'exit code', 'NBD errno', 'meaning'], kinds)}\n`, ...parts].join('\n');
}
