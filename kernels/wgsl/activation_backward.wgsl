// dx = dy f'(x), where FUNCTION says which activation function f is; see activation_forward.wgsl. All but relu6 and
// sigmoid are f(x) = x g(x), so that f'(x) = g(x) + x g'(x).
//
// x, dy, dx: `size` elements. One thread computes LANES elements. dx is NaN where x is, except that relu6 passes dy on.

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
@group(0) @binding(2) var<storage, read> dy: array<Value>;
@group(0) @binding(3) var<storage, read_write> dx: array<Value>;

@compute @workgroup_size(THREADS)
fn activation_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i >= u.size / LANES) {
    return;
  }
  let at_nan = select(x[i], dy[i], FUNCTION == RELU6);
  dx[i] = select(gradient(x[i], dy[i]), at_nan, is_nan(x[i]));
}

fn gradient(x: Value, dy: Value) -> Value {
  var g: Gate;
  switch FUNCTION {
    case RELU6: {
      return select(dy, Value(), (x <= Value()) | (x >= Value(6.0)));
    }
    case SIGMOID: {
      return dy * sigmoid(x).slope;
    }
    case SILU: {
      g = sigmoid(x);
    }
    case GELU: {
      g = normal(x);
    }
    case GELU_TANH: {
      let z = clamp(x, Value(-12.0), Value(12.0));
      g = sigmoid(1.5957691 * z * (1.0 + 0.044715 * z * z));
      g.slope *= 1.5957691 * (1.0 + 0.134145 * z * z);
    }
    default: {
      g = Gate(clamp((x + 3.0) / 6.0, Value(), Value(1.0)), select(Value(), Value(1.0 / 6.0), abs(x) < Value(3.0)));
    }
  }
  return dy * (g.value + x * g.slope);
}

// g(x) and g'(x)
struct Gate {
  value: Value,
  slope: Value,
}

fn sigmoid(x: Value) -> Gate {
  let e = exp(-abs(x));
  let r = 1.0 / (1.0 + e);
  return Gate(select(e, Value(1.0), x >= Value()) * r, e * r * r);
}

// The normal distribution function, as in activation_forward.wgsl, and its density.
fn normal(x: Value) -> Gate {
  let z = min(abs(x), Value(20.0));
  let t = 1.0 / (1.0 + 0.305 * z);
  var p = 0.036699185 * t - 0.15298828;
  p = p * t + 0.18571685;
  p = p * t - 0.037976771;
  p = p * t + 0.12102165;
  p = p * t + 0.10342088;
  p = p * t + 0.12246682;
  p = p * t + 0.12163974;
  let e = exp(-0.5 * z * z);
  let tail = p * t * e;
  return Gate(select(1.0 - tail, tail, x < Value()), 0.3989423 * e);
}

// By the bits, since a compiler may assume that no number is NaN.
fn is_nan(x: Value) -> Flags {
  return (bitcast<Bits>(x) & Bits(0x7fffffffu)) > Bits(0x7f800000u);
}
