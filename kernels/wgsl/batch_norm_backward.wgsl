// The gradient of batch normalisation's input. With z = (x - m) * r, and g = dy where the activation function of
// z * w + b has a slope, else 0 (`activation`: 0 none, 1 ReLU, 2 ReLU6):
//
//   in training  dx = w * r * (g - (db + z * dw) / plane)
//   otherwise    dx = w * r * g
//
// x, dy, dx: maps × plane; w, b, dw, db: maps; stats: m of all maps, then r. One thread computes LANES numbers.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;
alias Bits = u32;
alias Flags = bool;

struct Uniforms {
  maps: u32,
  plane: u32,
  activation: u32,
  training: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<f32>;
@group(0) @binding(5) var<storage, read> dw: array<f32>;
@group(0) @binding(6) var<storage, read> db: array<f32>;
@group(0) @binding(7) var<storage, read> dy: array<Value>;
@group(0) @binding(8) var<storage, read_write> dx: array<Value>;

@compute @workgroup_size(THREADS)
fn batch_norm_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  let map = i / (u.plane / LANES);
  if (map >= u.maps) {
    return;
  }
  let r = stats[u.maps + map];
  let centred = x[i] - stats[map];
  var g = select(Value(), dy[i], has_slope(centred * (r * w[map]) + b[map]));
  if (u.training == 1u) {
    g -= (db[map] + centred * r * dw[map]) / f32(u.plane);
  }
  dx[i] = w[map] * r * g;
}

// By the bits, as in epilogue_backward.wgsl.
fn has_slope(z: Value) -> Flags {
  let bits = bitcast<Bits>(z);
  let isLow = (bits == Bits()) | (bits - Bits(0x80000000u) <= Bits(0x7f800000u));
  let isHigh = Flags(u.activation == 2u) & (bits - Bits(0x40c00000u) <= Bits(0x3ec00000u));
  return Flags(u.activation == 0u) | !(isLow | isHigh);
}
