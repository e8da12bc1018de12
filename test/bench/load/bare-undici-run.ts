/** Runs `bare-undici.ts` in a process of its own, as the servers that it is compared with have one. */
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { z } from 'zod';

export interface BareUndiciLoad {
  url: string;
  /** A multiple of `rangeBytes`. */
  sizeBytes: number;
  rangeBytes: number;
  inFlight: number;
}

const line = z.object({ bytes: z.number(), seconds: z.number(), cpuSeconds: z.number() });

export async function runBareUndici(load: BareUndiciLoad): Promise<z.infer<typeof line>> {
  const program = fileURLToPath(new URL('./bare-undici.js', import.meta.url));
  const args = [program, load.url, load.sizeBytes, load.rangeBytes, load.inFlight].map(String);
  const { stdout } = await execa(process.execPath, args);
  return line.parse(JSON.parse(stdout));
}
