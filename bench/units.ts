/** Measurements as text. */
import { rate, type Work } from "./results.ts";

/** A time with three significant digits in a suitable unit. */
export function milliseconds(ms: number): string {
  if (ms < 0.1) return `${digits(1000 * ms)} µs`;
  return ms < 1000 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`;
}

/** Work per second: GFLOP/s, GB/s or images/s. */
export function perSecond(work: Work, ms: number): string {
  const value = rate(work, ms);
  return work.unit === "image"
    ? `${digits(value)} images/s`
    : `${digits(value / 1e9)} ${work.unit === "flop" ? "GFLOP/s" : "GB/s"}`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;
}

/** Three significant digits. */
export function digits(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
