/** The suite under a real daemon whose read-write export is a disk, with native threads that answer what they can. */
import t from 'tap';
import { diskConformance } from './disk-subject.js';

await diskConformance(t, true);
