/**
 * A process that sends requests to a disk and logs what it asks for and is answered, to be ended at any moment.
 *
 * Its argument is JSON (`ChildOptions`). It prints a dot for each answer, and exits with 1 when something was read wrong.
 */
import { openSync, readFileSync, writeSync } from 'node:fs';
import { systemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { Disk } from '../../src/disk/overlay/device.js';
import { openOverlay, ScriptedBase, ScriptedRemote } from '../disk/overlay/parts.js';
import { RecordKind, requestRecord } from './disk-log.js';
import { operationAt, runWorkload } from './disk-workload.js';

export interface ChildOptions {
  dataPath: string;
  mapPath: string;
  logPath: string;
  sizeBytes: number;
  /** What the disk holds. */
  modelPath: string;
  basePath: string;
  remotePath: string;
  seed: number;
  operationCount: number;
  callerCount: number;
}

const options = JSON.parse(process.argv[2] ?? '{}') as ChildOptions;
const { sizeBytes, seed } = options;
const log = openSync(options.logPath, 'a');
const disk = new Disk({
  overlay: openOverlay({ dataPath: options.dataPath, mapPath: options.mapPath, sizeBytes }),
  base: new ScriptedBase(readFileSync(options.basePath)),
  remote: new ScriptedRemote(readFileSync(options.remotePath)),
  multiConn: false,
  clock: systemClock,
  log: silentLogger,
});
let index = 0;
await runWorkload({
  device: disk,
  model: readFileSync(options.modelPath),
  next: () => (index < options.operationCount ? operationAt(seed, index++, sizeBytes) : undefined),
  callerCount: options.callerCount,
  onIssue: (operation) => writeSync(log, requestRecord(RecordKind.issued, operation.index)),
  onDone: (operation, done) => {
    writeSync(log, requestRecord(done ? RecordKind.done : RecordKind.refused, operation.index));
    writeSync(1, '.');
  },
});
await disk.close();
