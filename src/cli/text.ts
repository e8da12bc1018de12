/** Texts of numbers. */
import { formatSize } from '../base/size.js';

/** The two largest units: `45s`, `3m 20s`, `2h 5m`, `4d 1h`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return '0s';
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count}${unit}`).join(' ');
}

/** A deadline: `30s`, `500ms`, `none`. */
export function formatDeadline(deadlineMs: number): string {
  if (deadlineMs === 0) return 'none, requests wait for ever';
  return deadlineMs % 1000 === 0 ? formatSeconds(deadlineMs / 1000) : `${deadlineMs}ms`;
}

/** `256 MiB of 1 GiB (25 %)`; 100 % only when nothing is left. */
export function formatPart(partBytes: number, wholeBytes: number): string {
  return `${formatSize(partBytes)} of ${formatSize(wholeBytes)} (${percent(partBytes, wholeBytes)} %)`;
}

/** Rounded down, so that 100 means all. */
export function percent(part: number, whole: number): number {
  return whole === 0 ? 100 : Math.floor((part / whole) * 100);
}

/** A wait or a round trip: `184 µs`, `1.3 ms`, `12 ms`, `2.4 s`, `3m 20s`. */
export function formatMs(ms: number): string {
  if (ms === 0) return '0 ms';
  if (ms < 1) return `${Math.max(1, Math.round(ms * 1000))} µs`;
  if (ms < 999.5) return `${oneDecimal(ms)} ms`;
  return ms < 59_500 ? `${oneDecimal(ms / 1000)} s` : formatSeconds(ms / 1000);
}

function oneDecimal(value: number): string {
  return value < 10 ? String(Math.round(value * 10) / 10) : String(Math.round(value));
}

/** `1 chunk`, `2 chunks`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
