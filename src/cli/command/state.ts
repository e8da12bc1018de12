/** `copse state …`: commands about a state directory. They need no daemon. */
import type { Command } from 'commander';
import { addStateForgetCommand } from './state-forget.js';

export function addStateCommands(parent: Command): void {
  const state = parent.command('state').description('tidy a state directory');
  addStateForgetCommand(state);
}
