/** Collects the values of an option that may be given more than once. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}
