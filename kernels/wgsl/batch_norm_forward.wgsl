// Batch normalisation: y = f((x - m) * r * w + b), where `activation` is the function f: 0 none, 1 ReLU, 2 ReLU6
//
// x, y: maps × plane, a plane being H × W × N; w, b: maps; stats: m of all maps, then r. One thread computes LANES numbers.

const LANES = 1u;
const THREADS = 64u;
alias Value = f32;
alias Bits = u32;
alias Flags = bool;

struct Uniforms {
  maps: u32,
  plane: u32,
  activation: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<Value>;

@compute @workgroup_size(THREADS)
fn batch_norm_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  let map = i / (u.plane / LANES);
  if (map >= u.maps) {
    return;
  }
  y[i] = activated((x[i] - stats[map]) * (stats[u.maps + map] * w[map]) + b[map]);
}

// By the bits, so that NaN stays NaN: below 0 they are from 0x80000000 on, from 6 to infinity 0x40c00000 to 0x7f800000.
fn activated(z: Value) -> Value {
  let bits = bitcast<Bits>(z);
  let isLow = Flags(u.activation != 0u) & (bits - Bits(0x80000000u) <= Bits(0x7f800000u));
  let isHigh = Flags(u.activation == 2u) & (bits - Bits(0x40c00000u) <= Bits(0x3ec00000u));
  return select(select(z, Value(6.0), isHigh), Value(), isLow);
}
