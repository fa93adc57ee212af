// Adam with decoupled weight decay (arXiv 1711.05101) on `count` floats from number `start` on; kernels/wgsl/adamw.wgsl has
// the formula.

export function adamw(
  start: i32,
  count: i32,
  w: usize,
  m: usize,
  v: usize,
  dw: usize,
  size: i32,
  rate: f64,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  decay: f64,
  step: f32,
  scale: f32,
): void {
  // Products and differences are rounded once.
  const shrink = <f32>(rate * decay);
  const new1 = <f32>(1 - <f64>beta1);
  const new2 = <f32>(1 - <f64>beta2);
  const offset = (<usize>start) << 2;
  w += offset;
  m += offset;
  v += offset;
  dw += offset;
  const end = w + ((<usize>count) << 2);
  const vectors = w + (((<usize>count) >> 2) << 4);
  for (; w < vectors; w += 16, m += 16, v += 16, dw += 16) {
    const g = v128.load(dw);
    const weight = v128.load(w);
    const first = f32x4.add(f32x4.mul(f32x4.splat(beta1), v128.load(m)), f32x4.mul(f32x4.splat(new1), g));
    const squares = f32x4.mul(f32x4.splat(new2), f32x4.mul(g, g));
    const second = f32x4.add(f32x4.mul(f32x4.splat(beta2), v128.load(v)), squares);
    const size = f32x4.add(f32x4.mul(f32x4.sqrt(second), f32x4.splat(scale)), f32x4.splat(epsilon));
    const move = f32x4.div(f32x4.mul(f32x4.splat(step), first), size);
    v128.store(m, first);
    v128.store(v, second);
    v128.store(w, f32x4.sub(f32x4.sub(weight, f32x4.mul(f32x4.splat(shrink), weight)), move));
  }
  for (; w < end; w += 4, m += 4, v += 4, dw += 4) {
    const g = load<f32>(dw);
    const weight = load<f32>(w);
    const first = beta1 * load<f32>(m) + new1 * g;
    const second = beta2 * load<f32>(v) + new2 * (g * g);
    store<f32>(m, first);
    store<f32>(v, second);
    store<f32>(w, weight - shrink * weight - (step * first) / (sqrt<f32>(second) * scale + epsilon));
  }
}
