// The gradients of batch normalisation's scale and shift:
//
//   dw = sum of g * (x - m) * r,  db = sum of g
//
// g is dy where the activation function of (x - m) * r * w + b has a slope, else 0 (`activation`: 0 none, 1 ReLU,
// 2 ReLU6). x, dy: maps × plane; w, b: maps; stats: m of all maps, then r; dw, db: maps × `splits`, sums over equal parts
// of a map. One workgroup computes one part. The order of additions is always the same.

const THREADS = 256u;

struct Uniforms {
  maps: u32,
  plane: u32,
  activation: u32,
  splits: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> dw: array<f32>;
@group(0) @binding(7) var<storage, read_write> db: array<f32>;

var<workgroup> sums: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn batch_norm_gradients(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let part = id.x + id.y * groups.x;
  let map = part / u.splits;
  if (map >= u.maps) {
    return;
  }
  let size = u.plane / u.splits;
  let end = (part + 1u) * size;
  let m = stats[map];
  let factor = stats[u.maps + map] * w[map];
  let shift = b[map];
  var own = vec2f();
  var next = vec2f();
  var at = part * size + thread;
  for (; at + THREADS < end; at += 2u * THREADS) {
    own += terms(dy[at], x[at] - m, factor, shift);
    next += terms(dy[at + THREADS], x[at + THREADS] - m, factor, shift);
  }
  if (at < end) {
    own += terms(dy[at], x[at] - m, factor, shift);
  }
  sums[thread] = own + next;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  if (thread == 0u) {
    dw[part] = sums[0].x * stats[u.maps + map];
    db[part] = sums[0].y;
  }
}

fn terms(dy: f32, centred: f32, factor: f32, shift: f32) -> vec2f {
  return select(vec2f(), dy * vec2f(centred, 1.0), has_slope(centred * factor + shift));
}

// By the bits, as in epilogue_backward.wgsl.
fn has_slope(z: f32) -> bool {
  let bits = bitcast<u32>(z);
  let isLow = (bits == 0u) | (bits - 0x80000000u <= 0x7f800000u);
  let isHigh = (u.activation == 2u) & (bits - 0x40c00000u <= 0x3ec00000u);
  return (u.activation == 0u) | !(isLow | isHigh);
}
