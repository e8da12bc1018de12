/** What a node keeps in memory of 100 members and 20 images of 10 GiB: the test that holds the bound builds it and says the figure, which is read from there. */
import { join } from 'node:path';
import { execa } from 'execa';
import { CopseError } from '../../../../src/base/error.js';
import { foreignErrorCode } from '../../../../src/base/error-code.js';
import { packageRoot } from '../../harness/place.js';
import type { StormCase } from '../context.js';

const limitMiB = 50;

export const memory: StormCase = {
  name: 'memory',
  async run() {
    const { stdout } = await execa(process.execPath, [join(packageRoot, 'dist/test/cluster/holder-map-memory.test.js')]);
    const [, figure] = /# ([\d.]+) MiB: /.exec(stdout) ?? [];
    if (figure === undefined) throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `the test says no figure:\n${stdout.slice(-500)}`);
    return {
      rows: [
        {
          work: "a node's memory for the cluster's knowledge, 100 members, 20 images of 10 GiB",
          measured: `${figure} MiB`,
          wanted: `< ${limitMiB} MiB`,
          met: Number(figure) < limitMiB,
        },
      ],
    };
  },
};
