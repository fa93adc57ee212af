// The most arithmetic a device does: each thread keeps 8 vectors and does nothing but a ← a · x + y to them.
//
// x: 2 numbers, the x and y of the line above; sums: threads, each the sum of a thread's vectors. A round is 8 steps of
// 8 vectors × 4 lanes × 2 flop = 512 flop.

struct Uniforms {
  threads: u32,
  rounds: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn roof_fma(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= u.threads) {
    return;
  }
  let m = vec4f(x[0]);
  let s = vec4f(x[1]);
  var a0 = vec4f(f32(id.x & 7u));
  var a1 = a0 + 1.0;
  var a2 = a0 + 2.0;
  var a3 = a0 + 3.0;
  var a4 = a0 + 4.0;
  var a5 = a0 + 5.0;
  var a6 = a0 + 6.0;
  var a7 = a0 + 7.0;
  for (var round = 0u; round < u.rounds; round++) {
    for (var step = 0u; step < 8u; step++) {
      a0 = fma(a0, m, s);
      a1 = fma(a1, m, s);
      a2 = fma(a2, m, s);
      a3 = fma(a3, m, s);
      a4 = fma(a4, m, s);
      a5 = fma(a5, m, s);
      a6 = fma(a6, m, s);
      a7 = fma(a7, m, s);
    }
  }
  let sum = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7));
  sums[id.x] = (sum.x + sum.y) + (sum.z + sum.w);
}
