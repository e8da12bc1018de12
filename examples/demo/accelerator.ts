/**
 * KVM if it works here, else TCG. `/dev/kvm` may be there and QEMU may start, and yet no guest ever runs (nested virtualisation that
 * is not): only a guest that boots proves it. The proof is kept for as long as the host runs.
 */
import { constants } from 'node:fs';
import { access, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Accelerator, bootGuest } from './guest.js';
import { Lifetime } from './lifetime.js';

/** A guest under KVM is up in 1 to 3 seconds. */
const smokeTimeoutMs = 6000;

export async function chooseAccelerator(
  lifetime: Lifetime,
  options: { workDir: string; diskPath: string; diskSizeBytes: number },
): Promise<Accelerator> {
  const { workDir, diskPath, diskSizeBytes } = options;
  const usable = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!usable) return 'tcg';
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const proofPath = join(dirname(diskPath), 'accelerator');
  const proof = await readFile(proofPath, 'utf8').catch(() => '');
  const [provenBootId, proven] = proof.trim().split(' ');
  if (provenBootId === bootId && (proven === 'kvm' || proven === 'tcg')) return proven;

  console.log('demo: trying KVM');
  const trial = new Lifetime();
  lifetime.onEnd(() => trial.end());
  const image = { driver: 'file', filename: diskPath };
  const accelerator = await bootGuest(trial, {
    workDir,
    name: 'kvm-trial',
    accelerator: 'kvm',
    image,
    imageSizeBytes: diskSizeBytes,
    timeoutMs: smokeTimeoutMs,
  }).then(
    () => 'kvm' as const,
    () => 'tcg' as const,
  );
  await writeFile(proofPath, `${bootId} ${accelerator}\n`);
  return accelerator;
}
