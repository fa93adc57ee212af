// Stochastic gradient descent with momentum and weight decay (paper §5) on `count` floats:
//
//   v ← momentum · v − decay · rate · w − rate · dw
//   w ← w + v

export function sgd(w: usize, v: usize, dw: usize, count: i32, rate: f32, momentum: f32, shrink: f32): void {
  const end = w + ((<usize>count) << 2);
  const vectors = w + (((<usize>count) >> 2) << 4);
  const momentums = f32x4.splat(momentum);
  const shrinks = f32x4.splat(shrink);
  const rates = f32x4.splat(rate);
  for (; w < vectors; w += 16, v += 16, dw += 16) {
    const weight = v128.load(w);
    const kept = f32x4.sub(f32x4.mul(momentums, v128.load(v)), f32x4.mul(shrinks, weight));
    const velocity = f32x4.sub(kept, f32x4.mul(rates, v128.load(dw)));
    v128.store(v, velocity);
    v128.store(w, f32x4.add(weight, velocity));
  }
  for (; w < end; w += 4, v += 4, dw += 4) {
    const weight = load<f32>(w);
    const velocity = momentum * load<f32>(v) - shrink * weight - rate * load<f32>(dw);
    store<f32>(v, velocity);
    store<f32>(w, weight + velocity);
  }
}
