/** The command line as a whole: all commands, the help, and the answer to a wrong command. */
import { Command, type CommanderError } from 'commander';
import { redactUrls } from '../base/display-url.js';
import { version } from '../base/version.js';
import { addClusterCommands } from './command/cluster.js';
import { addDiskCommands } from './command/disk.js';
import { addExplainCommand } from './command/explain.js';
import { addImageCommands } from './command/image.js';
import { addLibvirtCommands } from './command/libvirt.js';
import { addNodeCommands } from './command/node.js';
import { addServeCommand } from './command/serve.js';
import { addStateCommands } from './command/state.js';
import { addStatusCommand } from './command/status.js';
import { ExitCode, exitCodeHelp } from './exit-code.js';

const examples = `
Examples:
  copse serve --image debian-12=https://images.example/debian-12.raw
  copse image add debian-12 https://images.example/debian-12.raw
  copse image warm debian-12
  copse disk create vm1 --image debian-12 --size 40G
  copse status --json
  copse cluster status
  copse explain debian-12
  copse libvirt attach vm1 debian-12

${exitCodeHelp}
`;

/** Errors of usage are printed, and then thrown as CommanderError. */
export function createProgram(): Command {
  const program = new Command('copse');
  program
    .description('copy-on-read NBD server: VMs boot at once from images that are fetched block by block and kept on this host')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .addHelpText('after', examples)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) =>
        write(
          `copse: ${redactUrls(text)
            .replace(/^error: /, '')
            .trimEnd()}${hint(program, text)}\n`,
        ),
    });
  addServeCommand(program);
  addImageCommands(program);
  addDiskCommands(program);
  addStatusCommand(program);
  addExplainCommand(program);
  addClusterCommands(program);
  addNodeCommands(program);
  addLibvirtCommands(program);
  addStateCommands(program);
  return program;
}

/** Proposes a command of a group, as `copse image warm` for `copse warm`. */
function hint(program: Command, text: string): string {
  const word = /unknown command '([^']*)'/.exec(text)?.[1];
  if (word === undefined || text.includes('Did you mean')) return '';
  for (const group of program.commands) {
    const meant = group.commands.find((command) => command.name() === word || command.aliases().includes(word));
    if (meant !== undefined) return `\n(Did you mean ${program.name()} ${group.name()} ${meant.name()}?)`;
  }
  return `\nSee "${program.name()} --help".`;
}

/** Commander exits with 1 on wrong usage, and after help for a group without a command. */
export function exitCodeOfUsage(error: CommanderError): number {
  return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
}
