// dx = dy f'(x), where FUNCTION says which activation function f is; see activation_forward.wgsl. All but relu6 and
// sigmoid are f(x) = x g(x), so that f'(x) = g(x) + x g'(x).
//
// For large GPUs; as activation_backward.wgsl. x, dy, dx: `size` elements, a multiple of 4. One thread computes four. dx is
// NaN where x is, except that relu6 passes dy on.

const RELU6 = 0u;
const SIGMOID = 1u;
const SILU = 2u;
const GELU = 3u;
const GELU_TANH = 4u;

const FUNCTION = 0u;

struct Uniforms {
  size: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(256)
fn activation_backward_vec4(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  if (i >= u.size / 4u) {
    return;
  }
  let at_nan = select(x[i], dy[i], FUNCTION == RELU6);
  dx[i] = select(gradient(x[i], dy[i]), at_nan, is_nan(x[i]));
}

fn gradient(x: vec4f, dy: vec4f) -> vec4f {
  var g: Gate;
  switch FUNCTION {
    case RELU6: {
      return select(dy, vec4f(), (x <= vec4f()) | (x >= vec4f(6.0)));
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
      let z = clamp(x, vec4f(-12.0), vec4f(12.0));
      g = sigmoid(1.5957691 * z * (1.0 + 0.044715 * z * z));
      g.slope *= 1.5957691 * (1.0 + 0.134145 * z * z);
    }
    default: {
      g = Gate(clamp((x + 3.0) / 6.0, vec4f(), vec4f(1.0)), select(vec4f(), vec4f(1.0 / 6.0), abs(x) < vec4f(3.0)));
    }
  }
  return dy * (g.value + x * g.slope);
}

// g(x) and g'(x)
struct Gate {
  value: vec4f,
  slope: vec4f,
}

fn sigmoid(x: vec4f) -> Gate {
  let e = exp(-abs(x));
  let r = 1.0 / (1.0 + e);
  return Gate(select(e, vec4f(1.0), x >= vec4f()) * r, e * r * r);
}

// The normal distribution function, as in activation_forward.wgsl, and its density.
fn normal(x: vec4f) -> Gate {
  let z = min(abs(x), vec4f(20.0));
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
  return Gate(select(1.0 - tail, tail, x < vec4f()), 0.3989423 * e);
}

// By the bits, since a compiler may assume that no number is NaN.
fn is_nan(x: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}
