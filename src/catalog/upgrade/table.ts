/**
 * Kinds of files that have changed their format since 0.1.0, with the steps between the formats.
 *
 * To change a format: add a step at the end of its kind, or a kind that begins with format 1, and
 * add the state of the last release to the tests (`docs/reference/versions.md`). No step is ever
 * removed or changed after its release.
 */
import { diskNotes } from './disk-notes.js';
import type { FileKind } from './step.js';

export const fileKinds: readonly FileKind[] = [diskNotes];
