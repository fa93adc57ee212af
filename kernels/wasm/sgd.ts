// Stochastic gradient descent with momentum and weight decay (paper §5), on `count` floats from index `start` on:
//
//   v ← momentum · v − decay · rate · w − rate · dw
//   w ← w + v

export function sgd(
  start: i32,
  count: i32,
  w: usize,
  v: usize,
  dw: usize,
  size: i32,
  rate: f64,
  momentum: f32,
  decay: f64,
): void {
  // The product is rounded once.
  const shrink = <f32>(decay * rate);
  const step = <f32>rate;
  w += (<usize>start) << 2;
  v += (<usize>start) << 2;
  dw += (<usize>start) << 2;
  const end = w + ((<usize>count) << 2);
  const vectors = w + (((<usize>count) >> 2) << 4);
  const momentums = f32x4.splat(momentum);
  const shrinks = f32x4.splat(shrink);
  const rates = f32x4.splat(step);
  for (; w < vectors; w += 16, v += 16, dw += 16) {
    const weight = v128.load(w);
    const kept = f32x4.sub(f32x4.mul(momentums, v128.load(v)), f32x4.mul(shrinks, weight));
    const velocity = f32x4.sub(kept, f32x4.mul(rates, v128.load(dw)));
    v128.store(v, velocity);
    v128.store(w, f32x4.add(weight, velocity));
  }
  for (; w < end; w += 4, v += 4, dw += 4) {
    const weight = load<f32>(w);
    const velocity = momentum * load<f32>(v) - shrink * weight - step * load<f32>(dw);
    store<f32>(v, velocity);
    store<f32>(w, weight + velocity);
  }
}
