#!/usr/bin/env node
/** The `copse` program: runs one command, and ends with its exit code. */
import { CommanderError } from 'commander';
import { errorCode } from '../base/error.js';
import { exitCodeOf } from './exit-code.js';
import { printError, watchOutput } from './output.js';
import { createProgram, exitCodeOfUsage } from './program.js';

watchOutput();
try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = exitCodeOfUsage(error);
  } else {
    printError(error, { json: process.argv.includes('--json') });
    process.exitCode = exitCodeOf(errorCode(error));
  }
}
