/**
 * e^x for x ≤ 0; below −87.7, where float32 holds it only in part, 0. With x = n ln 2 + r, it is 2^n times a polynomial
 * in r: Cephes' expf, right to a unit or two in the last place.
 */
export function exp4(value: v128): v128 {
  // 2^−127 comes out as 0, and −88 makes n −127. NaN stays.
  const x = f32x4.pmax(value, f32x4.splat(-88));
  // A sum of 1.5 · 2^23 has no bits for fractions: it is rounded, and its lowest bits are n.
  const sum = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504088896341)), f32x4.splat(12582912));
  const n = f32x4.sub(sum, f32x4.splat(12582912));
  // ln 2 in two parts, of which the first times n is exact.
  const high = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  const r = f32x4.sub(high, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let p = step(f32x4.splat(1.98756915e-4), r, 1.3981999507e-3);
  p = step(p, r, 8.3334519073e-3);
  p = step(p, r, 4.1665795894e-2);
  p = step(p, r, 1.6666665459e-1);
  p = step(p, r, 5.0000001201e-1);
  const power = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  return f32x4.mul(power, i32x4.shl(i32x4.add(sum, i32x4.splat(127)), 23));
}

/** One step of Horner's rule. */
export function step(sum: v128, z: v128, coefficient: f32): v128 {
  return f32x4.add(f32x4.mul(sum, z), f32x4.splat(coefficient));
}
