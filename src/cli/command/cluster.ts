/** `copse cluster …`: commands about the cluster. */
import type { Command } from 'commander';
import { addClusterMoveCommand } from './cluster-move.js';
import { addClusterStatusCommand } from './cluster-status.js';

export function addClusterCommands(parent: Command): void {
  const cluster = parent.command('cluster').description("show a node's cluster, or move the node to another");
  addClusterStatusCommand(cluster);
  addClusterMoveCommand(cluster);
}
