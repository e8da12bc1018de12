/** `copse cluster …`: the group of commands about the cluster. */
import type { Command } from 'commander';
import { addClusterMoveCommand } from './cluster-move.js';
import { addClusterStatusCommand } from './cluster-status.js';

export function addClusterCommands(parent: Command): void {
  const cluster = parent.command('cluster').description('show the cluster that a node is in, or move to another');
  addClusterStatusCommand(cluster);
  addClusterMoveCommand(cluster);
}
