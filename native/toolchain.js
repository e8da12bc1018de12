#!/usr/bin/env node
/**
 * Run by `npm install` before it compiles the addon, which it does where no prebuilt binary loads. When there is nothing to compile with
 * it ends the installation with what to install, in place of node-gyp's long account of its search for Python.
 */
import { spawnSync } from 'node:child_process';
import load from 'node-gyp-build';

function whyNoneLoads() {
  try {
    load('.');
    return 'it was asked for';
  } catch (error) {
    return error.message.split('\n')[0];
  }
}

const { PYTHON = 'python3', MAKE = 'make', CXX = 'g++' } = process.env;
const missing = [PYTHON, MAKE, CXX].filter((command) => spawnSync(`${command} --version`, { shell: true, stdio: 'ignore' }).status !== 0);

console.error(`copse: no prebuilt binary is used (${whyNoneLoads()}); the addon is compiled`);
if (missing.length > 0) {
  console.error(
    `copse: that needs ${missing.join(', ')}, which did not run. On Debian: apt-get install python3 make g++. Then install again.`,
  );
  process.exitCode = 1;
}
