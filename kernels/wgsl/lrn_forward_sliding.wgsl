// Local response normalisation across maps, forward (paper §3.3), for windows of 5 maps.
//
//   s_i = k + alpha * sum over j of x_j^2,  j within 2 maps of i, inside i's group of maps
//   y_i = x_i * s_i^-beta
//
// x, y: maps × plane, where a plane is H × W × N. One thread computes up to MAPS maps of a group (z) at one position of
// the plane. It slides along the maps with the five that it needs in registers, and so loads each number once.

// Maps for each thread: few, so that a small plane has enough threads.
const MAPS = 64u;

struct Uniforms {
  maps: u32,
  plane: u32,
  groupMaps: u32,
  reach: u32,
  k: f32,
  alpha: f32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn lrn_forward_sliding(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let p = id.x + id.y * groups.x * 64u;
  if (p >= u.plane) {
    return;
  }
  let cuts = (u.groupMaps + MAPS - 1u) / MAPS;
  let group = id.z / cuts * u.groupMaps;
  let first = group + id.z % cuts * MAPS;
  let end = min(first + MAPS, group + u.groupMaps);
  // x of map i and of its neighbours, two on either side.
  var before2 = pixel(first - 2u, group, p);
  var before1 = pixel(first - 1u, group, p);
  var own = pixel(first, group, p);
  var after1 = pixel(first + 1u, group, p);
  for (var i = first; i < end; i++) {
    let after2 = pixel(i + 2u, group, p);
    // In the order of lrn_forward.wgsl.
    var sum = 0.0;
    sum += before2 * before2;
    sum += before1 * before1;
    sum += own * own;
    sum += after1 * after1;
    sum += after2 * after2;
    y[i * u.plane + p] = own * power(u.k + u.alpha * sum, -u.beta);
    before2 = before1;
    before1 = own;
    own = after1;
    after1 = after2;
  }
}

// x of map i at position p; 0 outside the group that begins at map `group`.
fn pixel(i: u32, group: u32, p: u32) -> f32 {
  // Maps before the first wrap to numbers that are too large.
  if (i - group >= u.groupMaps) {
    return 0.0;
  }
  return x[i * u.plane + p];
}

// s^exponent. NaN stays NaN; some drivers' pow() returns 0 for it.
fn power(s: f32, exponent: f32) -> f32 {
  return select(pow(s, exponent), s, is_nan(s));
}

// Compares bits, since a compiler may assume that there are no NaNs.
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
