/** Numbers as text for people. */

/** 12.3%. @param share 0 … 1 */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/** 1 h 05 min, 3 min 20 s, 12 s. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
}

/** 1,234. */
export function count(n: number): string {
  // Most numbers are small, and to load the rules of languages takes 7 ms.
  return Number.isInteger(n) && n >= 0 && n < 1000 ? String(n) : n.toLocaleString("en-US");
}

/** 1 image, 1,234 images. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
