/**
 * A process for one run of moves, so that its time and its threads are nobody else's.
 *
 * usage: node main.js SEED MOVES; prints the result as JSON
 */
import { play } from './play.js';

const [seed, moves] = process.argv.slice(2).map(Number);
if (seed === undefined || moves === undefined) throw new Error('usage: main.js SEED MOVES');
const result = await play(seed, moves);
process.stdout.write(`${JSON.stringify(result)}\n`);
