/** The `count` most probable classes in order. */
export function mostProbable(p: Float64Array, count: number): number[] {
  const best: number[] = [];
  for (let k = 0; k < p.length; k++) {
    // Ties keep the order of the classes.
    let place = best.length;
    while (place > 0 && p[best[place - 1]!]! < p[k]!) place--;
    if (place === count) continue;
    best.splice(place, 0, k);
    if (best.length > count) best.pop();
  }
  return best;
}
