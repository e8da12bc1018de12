/** `copse node …`: commands about this node of a cluster. */
import type { Command } from 'commander';
import { addNodeDrainCommand } from './node-drain.js';

export function addNodeCommands(parent: Command): void {
  const node = parent.command('node').description('take a node out of its cluster, or bring it back');
  addNodeDrainCommand(node);
}
