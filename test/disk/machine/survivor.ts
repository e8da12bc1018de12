/** Broken lines that no small space shows, each with the reason. */
export const survivors: readonly { is: RegExp; reason: string }[] = [
  { is: /word alone.*without reject/, reason: 'disks that move by an operator alone are not in this world: test/daemon' },
];
