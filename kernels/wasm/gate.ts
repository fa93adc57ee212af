// Activation functions whose gradient needs x, on `count` floats from number `start` on; s(x) = 1 / (1 + e^−x):
//
//   relu6       min(max(0, x), 6)
//   sigmoid     s(x)
//   silu        x · s(x)
//   gelu        x · Φ(x), Φ the normal distribution function
//   geluTanh    x · s(2 √(2/π) (x + 0.044715 x³))
//   hardSwish   x · min(max(0, (x + 3) / 6), 1)
//
// Forward y = f(x), backward dx = dy · f'(x); where f(x) = x · g(x), f'(x) = g(x) + x · g'(x). NaN stays NaN, as in
// activation.ts. F names f: it chooses while this is compiled, so that each function has its own loop.

import { exp4, step } from "./exp";

class Relu6 {}
class Sigmoid {}
class Silu {}
class Gelu {}
class GeluTanh {}
class HardSwish {}

function is<F, G>(): bool {
  return idof<F>() == idof<G>();
}

export function relu6Forward(start: i32, count: i32, x: usize, y: usize): void {
  forward<Relu6>(start, count, x, y);
}

export function relu6Backward(start: i32, count: i32, x: usize, dy: usize, dx: usize): void {
  backward<Relu6>(start, count, x, dy, dx);
}

export function sigmoidForward(start: i32, count: i32, x: usize, y: usize): void {
  forward<Sigmoid>(start, count, x, y);
}

export function sigmoidBackward(start: i32, count: i32, x: usize, dy: usize, dx: usize): void {
  backward<Sigmoid>(start, count, x, dy, dx);
}

export function siluForward(start: i32, count: i32, x: usize, y: usize): void {
  forward<Silu>(start, count, x, y);
}

export function siluBackward(start: i32, count: i32, x: usize, dy: usize, dx: usize): void {
  backward<Silu>(start, count, x, dy, dx);
}

export function geluForward(start: i32, count: i32, x: usize, y: usize): void {
  forward<Gelu>(start, count, x, y);
}

export function geluBackward(start: i32, count: i32, x: usize, dy: usize, dx: usize): void {
  backward<Gelu>(start, count, x, dy, dx);
}

export function geluTanhForward(start: i32, count: i32, x: usize, y: usize): void {
  forward<GeluTanh>(start, count, x, y);
}

export function geluTanhBackward(start: i32, count: i32, x: usize, dy: usize, dx: usize): void {
  backward<GeluTanh>(start, count, x, dy, dx);
}

export function hardSwishForward(start: i32, count: i32, x: usize, y: usize): void {
  forward<HardSwish>(start, count, x, y);
}

export function hardSwishBackward(start: i32, count: i32, x: usize, dy: usize, dx: usize): void {
  backward<HardSwish>(start, count, x, dy, dx);
}

function forward<F>(start: i32, count: i32, x: usize, y: usize): void {
  x += (<usize>start) << 2;
  y += (<usize>start) << 2;
  const end = y + ((<usize>count) << 2);
  const vectors = y + (((<usize>count) >> 2) << 4);
  for (; y < vectors; y += 16, x += 16) v128.store(y, value4<F>(v128.load(x)));
  for (; y < end; y += 4, x += 4) v128.store_lane<f32>(y, value4<F>(v128.load_splat<f32>(x)), 0);
}

function backward<F>(start: i32, count: i32, x: usize, dy: usize, dx: usize): void {
  x += (<usize>start) << 2;
  dy += (<usize>start) << 2;
  dx += (<usize>start) << 2;
  const end = dx + ((<usize>count) << 2);
  const vectors = dx + (((<usize>count) >> 2) << 4);
  for (; dx < vectors; dx += 16, dy += 16, x += 16) v128.store(dx, gradient4<F>(v128.load(x), v128.load(dy)));
  for (; dx < end; dx += 4, dy += 4, x += 4) {
    v128.store_lane<f32>(dx, gradient4<F>(v128.load_splat<f32>(x), v128.load_splat<f32>(dy)), 0);
  }
}

function value4<F>(x: v128): v128 {
  // pmax would leave −0.
  if (is<F, Relu6>()) return f32x4.max(f32x4.splat(0), f32x4.min(f32x4.splat(6), x));
  if (is<F, Gelu>()) return f32x4.mul(x, normal4(x));
  const g = gate4<F>(x, exponential4<F>(x));
  return is<F, Sigmoid>() ? g : f32x4.mul(x, g);
}

function gradient4<F>(x: v128, dy: v128): v128 {
  if (is<F, Relu6>()) return v128.andnot(dy, v128.or(f32x4.le(x, f32x4.splat(0)), f32x4.ge(x, f32x4.splat(6))));
  if (is<F, Gelu>()) return f32x4.mul(dy, geluSlope4(x));
  const e = exponential4<F>(x);
  const slope = slope4<F>(x, e);
  return f32x4.mul(dy, is<F, Sigmoid>() ? slope : f32x4.add(gate4<F>(x, e), f32x4.mul(x, slope)));
}

/** What g and g' are both computed from: e^−|z| of the sigmoid's argument z. It never overflows. */
function exponential4<F>(x: v128): v128 {
  return is<F, HardSwish>() ? x : exp4(f32x4.neg(f32x4.abs(argument4<F>(x))));
}

/** g(x) */
function gate4<F>(x: v128, e: v128): v128 {
  const one = f32x4.splat(1);
  if (is<F, HardSwish>()) return clamp4(f32x4.div(f32x4.add(x, f32x4.splat(3)), f32x4.splat(6)), 0, 1);
  return f32x4.div(v128.bitselect(e, one, f32x4.lt(x, f32x4.splat(0))), f32x4.add(one, e));
}

/** g'(x) */
function slope4<F>(x: v128, e: v128): v128 {
  if (is<F, HardSwish>()) return v128.and(f32x4.lt(f32x4.abs(x), f32x4.splat(3)), f32x4.splat(1.0 / 6));
  const sum = f32x4.add(f32x4.splat(1), e);
  const slope = f32x4.div(e, f32x4.mul(sum, sum));
  if (!is<F, GeluTanh>()) return slope;
  const z = clamp4(x, -12, 12);
  return f32x4.mul(slope, step(f32x4.mul(z, z), f32x4.splat(1.5957691 * 0.134145), 1.5957691));
}

/** The sigmoid's argument. Beyond ±12 geluTanh's sigmoid is 0 or 1 in 32 bits. */
function argument4<F>(x: v128): v128 {
  if (!is<F, GeluTanh>()) return x;
  const z = clamp4(x, -12, 12);
  return f32x4.mul(z, step(f32x4.mul(z, z), f32x4.splat(1.5957691 * 0.044715), 1.5957691));
}

// Φ(x) and the slope of gelu are 1/2 and an odd function: x times a ratio of polynomials in x², fitted with equal
// ripples of 1e-7 up to where the function is 1/2 in 32 bits. That takes half the time of an exponential.

/** Φ(x), to 3e-7, and to 1e-5 of its value where that is small. */
function normal4(x: v128): v128 {
  const isSmall = f32x4.lt(x, f32x4.splat(-1.8));
  const phi = middle4(x);
  return v128.any_true(isSmall) ? v128.bitselect(tail4(f32x4.abs(x)), phi, isSmall) : phi;
}

/** Φ(x) for x ≥ −5.3 */
function middle4(x: v128): v128 {
  const z = clamp4(x, -5.3, 5.3);
  const square = f32x4.mul(z, z);
  let p = step(f32x4.splat(-1.76175315e-8), square, 6.02534696e-6);
  p = step(p, square, 4.65746922e-4);
  p = step(p, square, 6.43094721e-3);
  p = step(p, square, 6.53421785e-2);
  p = step(p, square, 3.98941594e-1);
  let q = step(f32x4.splat(1.56726539e-4), square, 3.56740662e-3);
  q = step(q, square, 4.62149336e-2);
  q = step(q, square, 3.30443936e-1);
  q = step(q, square, 1);
  const phi = f32x4.add(f32x4.splat(0.5), f32x4.div(f32x4.mul(z, p), q));
  // Beyond, an error of 1e-7 would be multiplied by a large x.
  return v128.bitselect(f32x4.splat(1), phi, f32x4.gt(x, f32x4.splat(5.3)));
}

/**
 * Φ(−z) for z ≥ 0, to 1e-7 of its value: e^(−z²/2) times the polynomial in t = 1 / (1 + 0.305 z) of
 * activation_forward.wgsl.
 */
function tail4(z: v128): v128 {
  const t = f32x4.div(f32x4.splat(1), step(z, f32x4.splat(0.305), 1));
  let p = step(f32x4.splat(0.036699185), t, -0.15298828);
  p = step(p, t, 0.18571685);
  p = step(p, t, -0.037976771);
  p = step(p, t, 0.12102165);
  p = step(p, t, 0.10342088);
  p = step(p, t, 0.12246682);
  p = step(p, t, 0.12163973);
  return f32x4.mul(f32x4.mul(p, t), exp4(f32x4.mul(f32x4.mul(z, z), f32x4.splat(-0.5))));
}

/** Φ(x) + x Φ'(x), to 4e-7. */
function geluSlope4(x: v128): v128 {
  const z = clamp4(x, -6, 6);
  const square = f32x4.mul(z, z);
  let p = step(f32x4.splat(1.90884758e-7), square, 3.58505753e-5);
  p = step(p, square, 2.41852304e-5);
  p = step(p, square, 1.42091688e-2);
  p = step(p, square, -3.07433844e-2);
  p = step(p, square, 7.97884529e-1);
  let q = step(f32x4.splat(8.88746905e-6), square, 1.93520357e-4);
  q = step(q, square, 3.52876237e-3);
  q = step(q, square, 4.10647246e-2);
  q = step(q, square, 2.94805756e-1);
  q = step(q, square, 1);
  const slope = f32x4.add(f32x4.splat(0.5), f32x4.div(f32x4.mul(z, p), q));
  // Beyond ±6 it is 0 or 1 in 32 bits.
  const end = v128.and(f32x4.gt(x, f32x4.splat(0)), f32x4.splat(1));
  return v128.bitselect(end, slope, f32x4.gt(f32x4.abs(x), f32x4.splat(6)));
}

/** NaN stays. */
function clamp4(x: v128, low: f32, high: f32): v128 {
  return f32x4.pmax(f32x4.pmin(x, f32x4.splat(high)), f32x4.splat(low));
}
