/** Prints the compiled test files of the tier that the argument names. */
import { testFiles } from './files.js';
import { filesOf, tierNames } from './tier.js';

const tier = tierNames.find((name) => name === process.argv[2]);
if (tier === undefined) throw new Error(`no tier is called '${process.argv[2]}': ${tierNames.join(', ')}`);
for (const path of filesOf(tier, testFiles())) console.log(`dist/test/${path.replace(/\.ts$/, '.js')}`);
