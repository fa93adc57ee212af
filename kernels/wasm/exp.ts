/** eˣ by Cephes' polynomial (expf), right to two units in the last place; 0 below −87.3, where float32 has no normal numbers. */
export function exp4(value: v128): v128 {
  const least = f32x4.splat(-87.33654);
  const x = f32x4.min(f32x4.splat(88.72283), f32x4.max(least, value));
  // x = n · ln 2 + r, |r| ≤ ln 2 / 2; ln 2 in two parts, so that nothing is lost.
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.44269504088896341)));
  const high = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  const r = f32x4.sub(high, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let p = step(f32x4.splat(1.98756915e-4), r, 1.3981999507e-3);
  p = step(p, r, 8.3334519073e-3);
  p = step(p, r, 4.1665795894e-2);
  p = step(p, r, 1.6666665459e-1);
  p = step(p, r, 5.0000001201e-1);
  p = f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), f32x4.add(r, f32x4.splat(1)));
  // 2ⁿ in two factors, since 2¹²⁸ is no float32.
  const whole = i32x4.trunc_sat_f32x4_s(n);
  const half = i32x4.shr_s(whole, 1);
  const power = f32x4.mul(p, powerOfTwo(half));
  return v128.andnot(f32x4.mul(power, powerOfTwo(i32x4.sub(whole, half))), f32x4.lt(value, least));
}

function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

/** One step of Horner's rule. */
export function step(sum: v128, r: v128, coefficient: f32): v128 {
  return f32x4.add(f32x4.mul(sum, r), f32x4.splat(coefficient));
}
