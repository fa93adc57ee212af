// The transforms of Winograd's minimal filtering along one axis, for kernels/wasm/winograd.ts.
//
// F(4, 3) evaluates polynomials at 0, 1, −1, 2, −2 and ∞, F(4, 5) also at ½ and −½. For these points p, in that order,
// Aᵀ has the rows pⁱ (i < 4), G the columns pʲ (j < k) times a factor for each point, and Bᵀ is such that Aᵀ [(G g) ⊙
// (Bᵀ d)] is the convolution of d and g (Lavin and Gray, arXiv 1509.09308, section 4.1). Since points come in pairs ±p,
// even and odd powers are summed once each, and then added and subtracted.
//
// Inputs and outputs are runs of `count` numbers, a multiple of 4, transformed elementwise.

function times(factor: f32, x: v128): v128 {
  return f32x4.mul(f32x4.splat(factor), x);
}

/** Stores the values at p and −p, from the even and the odd powers. */
function storePair(even: v128, odd: v128, to: usize, step: usize): void {
  v128.store(to, f32x4.add(even, odd));
  v128.store(to + step, f32x4.sub(even, odd));
}

/** Bᵀ of F(4, 3): six runs to six, `step` bytes apart. */
export function input6(
  from0: usize,
  from1: usize,
  from2: usize,
  from3: usize,
  from4: usize,
  from5: usize,
  count: i32,
  to: usize,
  step: usize,
): void {
  const end = (<usize>count) << 2;
  for (let n: usize = 0; n < end; n += 16, to += 16) {
    const d1 = v128.load(from1 + n);
    const d2 = v128.load(from2 + n);
    const d3 = v128.load(from3 + n);
    const d4 = v128.load(from4 + n);
    const even2 = f32x4.sub(d4, d2);
    const odd2 = f32x4.sub(d3, d1);
    v128.store(to, f32x4.add(times(4, f32x4.sub(v128.load(from0 + n), d2)), even2));
    storePair(f32x4.sub(d4, times(4, d2)), f32x4.sub(d3, times(4, d1)), to + step, step);
    storePair(even2, times(2, odd2), to + 3 * step, step);
    v128.store(to + 5 * step, f32x4.sub(f32x4.sub(v128.load(from5 + n), d3), times(4, odd2)));
  }
}

/** Bᵀ of F(4, 5): eight runs to eight, `step` bytes apart. */
export function input8(
  from0: usize,
  from1: usize,
  from2: usize,
  from3: usize,
  from4: usize,
  from5: usize,
  from6: usize,
  from7: usize,
  count: i32,
  to: usize,
  step: usize,
): void {
  const end = (<usize>count) << 2;
  for (let n: usize = 0; n < end; n += 16, to += 16) {
    const d1 = v128.load(from1 + n);
    const d2 = v128.load(from2 + n);
    const d3 = v128.load(from3 + n);
    const d4 = v128.load(from4 + n);
    const d5 = v128.load(from5 + n);
    const d6 = v128.load(from6 + n);
    v128.store(to, f32x4.add(f32x4.sub(v128.load(from0 + n), d6), times(5.25, f32x4.sub(d4, d2))));
    storePair(
      f32x4.sub(f32x4.add(d2, d6), times(4.25, d4)),
      f32x4.sub(f32x4.add(d1, d5), times(4.25, d3)),
      to + step,
      step,
    );
    storePair(
      f32x4.add(f32x4.sub(times(0.25, d2), times(1.25, d4)), d6),
      f32x4.add(f32x4.sub(times(0.5, d1), times(2.5, d3)), times(2, d5)),
      to + 3 * step,
      step,
    );
    storePair(
      f32x4.add(f32x4.sub(times(4, d2), times(5, d4)), d6),
      f32x4.add(f32x4.sub(times(2, d1), times(2.5, d3)), times(0.5, d5)),
      to + 5 * step,
      step,
    );
    v128.store(to + 7 * step, f32x4.add(f32x4.sub(v128.load(from7 + n), d1), times(5.25, f32x4.sub(d3, d5))));
  }
}

/** A: four runs to `side` = 6 or 8, `step` bytes apart. */
export function gradient(
  side: i32,
  from0: usize,
  from1: usize,
  from2: usize,
  from3: usize,
  count: i32,
  to: usize,
  step: usize,
): void {
  const end = (<usize>count) << 2;
  const last = <usize>(side - 1) * step;
  for (let n: usize = 0; n < end; n += 16, to += 16) {
    const y0 = v128.load(from0 + n);
    const y1 = v128.load(from1 + n);
    const y2 = v128.load(from2 + n);
    const y3 = v128.load(from3 + n);
    v128.store(to, y0);
    storePair(f32x4.add(y0, y2), f32x4.add(y1, y3), to + step, step);
    storePair(f32x4.add(y0, times(4, y2)), f32x4.add(times(2, y1), times(8, y3)), to + 3 * step, step);
    if (side == 8) {
      storePair(f32x4.add(y0, times(0.25, y2)), f32x4.add(times(0.5, y1), times(0.125, y3)), to + 5 * step, step);
    }
    v128.store(to + last, y3);
  }
}

/** Aᵀ, plus `bias`: `side` = 6 or 8 runs, `step` bytes apart, to four. */
export function output(
  side: i32,
  from: usize,
  step: usize,
  count: i32,
  bias: f32,
  to0: usize,
  to1: usize,
  to2: usize,
  to3: usize,
): void {
  const end = (<usize>count) << 2;
  const last = <usize>(side - 1) * step;
  const add = f32x4.splat(bias);
  for (let n: usize = 0; n < end; n += 16, from += 16) {
    const p1 = v128.load(from + step);
    const p2 = v128.load(from + 2 * step);
    const p3 = v128.load(from + 3 * step);
    const p4 = v128.load(from + 4 * step);
    const even = f32x4.add(f32x4.add(p1, p2), add);
    const odd = f32x4.add(f32x4.sub(p1, p2), add);
    const even2 = f32x4.add(p3, p4);
    const odd2 = f32x4.sub(p3, p4);
    let y0 = f32x4.add(f32x4.add(v128.load(from), even), even2);
    let y1 = f32x4.add(odd, times(2, odd2));
    let y2 = f32x4.add(even, times(4, even2));
    let y3 = f32x4.add(f32x4.add(odd, times(8, odd2)), v128.load(from + last));
    if (side == 8) {
      const p5 = v128.load(from + 5 * step);
      const p6 = v128.load(from + 6 * step);
      const even3 = f32x4.add(p5, p6);
      const odd3 = f32x4.sub(p5, p6);
      y0 = f32x4.add(y0, even3);
      y1 = f32x4.add(y1, times(0.5, odd3));
      y2 = f32x4.add(y2, times(0.25, even3));
      y3 = f32x4.add(y3, times(0.125, odd3));
    }
    v128.store(to0 + n, y0);
    v128.store(to1 + n, y1);
    v128.store(to2 + n, y2);
    v128.store(to3 + n, y3);
  }
}

/** G: k = 3 or 5 vectors of four windows, `step` bytes apart, to k + 3, `toStep` bytes apart. */
export function weights(k: i32, from: usize, step: usize, to: usize, toStep: usize): void {
  const g0 = v128.load(from);
  const g1 = v128.load(from + step);
  const g2 = v128.load(from + 2 * step);
  if (k == 3) {
    v128.store(to, times(1.0 / 4.0, g0));
    storePair(times(-1.0 / 6.0, f32x4.add(g0, g2)), times(-1.0 / 6.0, g1), to + toStep, toStep);
    storePair(times(1.0 / 24.0, f32x4.add(g0, times(4, g2))), times(1.0 / 12.0, g1), to + 3 * toStep, toStep);
    v128.store(to + 5 * toStep, g2);
    return;
  }
  const g3 = v128.load(from + 3 * step);
  const g4 = v128.load(from + 4 * step);
  v128.store(to, g0);
  storePair(
    times(-2.0 / 9.0, f32x4.add(f32x4.add(g0, g2), g4)),
    times(-2.0 / 9.0, f32x4.add(g1, g3)),
    to + toStep,
    toStep,
  );
  storePair(
    times(1.0 / 90.0, f32x4.add(f32x4.add(g0, times(4, g2)), times(16, g4))),
    times(1.0 / 45.0, f32x4.add(g1, times(4, g3))),
    to + 3 * toStep,
    toStep,
  );
  storePair(
    times(2.0 / 45.0, f32x4.add(f32x4.add(times(16, g0), times(4, g2)), g4)),
    times(4.0 / 45.0, f32x4.add(times(4, g1), g3)),
    to + 5 * toStep,
    toStep,
  );
  v128.store(to + 7 * toStep, g4);
}

/** Gᵀ: k + 3 vectors of four windows, `step` bytes apart, to k = 3 or 5, `toStep` bytes apart. */
export function weightGradient(k: i32, from: usize, step: usize, to: usize, toStep: usize): void {
  const u0 = v128.load(from);
  const u1 = v128.load(from + step);
  const u2 = v128.load(from + 2 * step);
  const u3 = v128.load(from + 3 * step);
  const u4 = v128.load(from + 4 * step);
  const u5 = v128.load(from + 5 * step);
  if (k == 3) {
    const even = times(-1.0 / 6.0, f32x4.add(u1, u2));
    const even2 = times(1.0 / 24.0, f32x4.add(u3, u4));
    v128.store(to, f32x4.add(f32x4.add(times(1.0 / 4.0, u0), even), even2));
    v128.store(to + toStep, f32x4.add(times(-1.0 / 6.0, f32x4.sub(u1, u2)), times(1.0 / 12.0, f32x4.sub(u3, u4))));
    v128.store(to + 2 * toStep, f32x4.add(f32x4.add(even, times(4, even2)), u5));
    return;
  }
  const u6 = v128.load(from + 6 * step);
  const even = times(-2.0 / 9.0, f32x4.add(u1, u2));
  const odd = times(-2.0 / 9.0, f32x4.sub(u1, u2));
  const even2 = times(1.0 / 90.0, f32x4.add(u3, u4));
  const odd2 = times(1.0 / 45.0, f32x4.sub(u3, u4));
  const even3 = times(2.0 / 45.0, f32x4.add(u5, u6));
  const odd3 = times(4.0 / 45.0, f32x4.sub(u5, u6));
  v128.store(to, f32x4.add(f32x4.add(f32x4.add(u0, even), even2), times(16, even3)));
  v128.store(to + toStep, f32x4.add(f32x4.add(odd, odd2), times(4, odd3)));
  v128.store(to + 2 * toStep, f32x4.add(f32x4.add(even, times(4, even2)), times(4, even3)));
  v128.store(to + 3 * toStep, f32x4.add(f32x4.add(odd, times(4, odd2)), odd3));
  v128.store(
    to + 4 * toStep,
    f32x4.add(f32x4.add(f32x4.add(even, times(16, even2)), even3), v128.load(from + 7 * step)),
  );
}
