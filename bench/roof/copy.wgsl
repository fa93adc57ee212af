// The most memory traffic a device does: y ← x, one thread a vector of 4 numbers.
//
// x, y: 4 · vectors

struct Uniforms {
  vectors: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn roof_copy(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 256u;
  if (i < u.vectors) {
    y[i] = x[i];
  }
}
