/** The suite under a real daemon whose read-write export is a disk, by TypeScript alone. */
import t from 'tap';
import { diskConformance } from './disk-subject.js';

await diskConformance(t, false);
