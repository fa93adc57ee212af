/** `; did you mean "x"?` for the name closest to what was typed, or one with the same beginning; "" if none is close. */
export function suggest(typed: string, names: readonly string[]): string {
  const near = names
    .map((name) => ({ name, distance: distance(typed, name) }))
    .filter(({ name, distance }) => distance < name.length && distance <= (name.length >= 5 ? 2 : 1))
    .sort((a, b) => a.distance - b.distance)[0];
  const name = near?.name ?? names.find((each) => beginAlike(typed.toLowerCase(), each.toLowerCase()));
  return name === undefined ? "" : `; did you mean "${name}"?`;
}

/** Whether one begins with the other, as padding with pad. */
function beginAlike(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a));
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
