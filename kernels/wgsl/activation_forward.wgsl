// y = f(x), where FUNCTION says which activation function f is; s(x) = 1 / (1 + e^-x):
//
//   relu6       min(max(0, x), 6)
//   sigmoid     s(x)
//   silu        x s(x)
//   gelu        x P(x), P the normal distribution function
//   gelu_tanh   x s(2 sqrt(2 / pi) (x + 0.044715 x^3))
//   hard_swish  x min(max(0, (x + 3) / 6), 1)
//
// x, y: `size` elements. One thread computes LANES elements. Exponentials are of numbers <= 0, so that none overflows.
// NaN stays NaN; see relu_forward.wgsl.

const RELU6 = 0u;
const SIGMOID = 1u;
const SILU = 2u;
const GELU = 3u;
const GELU_TANH = 4u;

const FUNCTION = 0u;

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;
alias Bits = u32;
alias Flags = bool;

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read_write> y: array<Value>;

@compute @workgroup_size(THREADS)
fn activation_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i >= u.size / LANES) {
    return;
  }
  y[i] = select(activation(x[i]), x[i], is_nan(x[i]));
}

fn activation(x: Value) -> Value {
  switch FUNCTION {
    case RELU6: {
      return min(select(x, Value(), x <= Value()), Value(6.0));
    }
    case SIGMOID: {
      return sigmoid(x);
    }
    case SILU: {
      return x * sigmoid(x);
    }
    case GELU: {
      return x * normal(x);
    }
    case GELU_TANH: {
      // Beyond ±12 the sigmoid is 0 or 1 in 32 bits.
      let z = clamp(x, Value(-12.0), Value(12.0));
      return x * sigmoid(1.5957691 * z * (1.0 + 0.044715 * z * z));
    }
    default: {
      return x * clamp((x + 3.0) / 6.0, Value(), Value(1.0));
    }
  }
}

fn sigmoid(x: Value) -> Value {
  let e = exp(-abs(x));
  return select(e, Value(1.0), x >= Value()) / (1.0 + e);
}

// The normal distribution function P, in the form of Abramowitz and Stegun's 7.1.26 with three terms more: P(-z) is
// exp(-z^2 / 2) times a polynomial in t = 1 / (1 + 0.305 z), fitted to 1e-7 of each value. Beyond 20 it is 0 in 32 bits.
fn normal(x: Value) -> Value {
  let z = min(abs(x), Value(20.0));
  let t = 1.0 / (1.0 + 0.305 * z);
  var p = 0.036699185 * t - 0.15298828;
  p = p * t + 0.18571685;
  p = p * t - 0.037976771;
  p = p * t + 0.12102165;
  p = p * t + 0.10342088;
  p = p * t + 0.12246682;
  p = p * t + 0.12163974;
  let tail = p * t * exp(-0.5 * z * z);
  return select(1.0 - tail, tail, x < Value());
}

// By the bits, since a compiler may assume that no number is NaN.
fn is_nan(x: Value) -> Flags {
  return (bitcast<Bits>(x) & Bits(0x7fffffffu)) > Bits(0x7f800000u);
}
