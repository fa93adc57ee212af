// Fully connected layer, forward (paper §3.5), for few images, where reading w takes all the time.
//
//   y[o, n] = b[o] + sum over i of w[o, i] * x[i, n]
//
// w: O × I, x: I × N, b: O, y: O × N.
//
// A workgroup computes four rows o for four images n. Its threads share the terms i, with neighbouring threads reading
// neighbouring weights; their sums are added at the end, always in the same order.

const THREADS = 128u;
const IMAGES = vec4u(0u, 1u, 2u, 3u);

struct Uniforms {
  outputs: u32,
  inputs: u32,
  images: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// The threads' sums for each row; a component per image.
var<workgroup> memory: array<vec4f, 4 * THREADS>;

@compute @workgroup_size(THREADS)
fn linear_forward_narrow(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let firstImage = tile.x * 4u;
  let firstRow = tile.y * 4u;
  // Rows and images beyond the last are loaded as copies of it and not stored.
  let rows = min(firstRow + vec4u(0u, 1u, 2u, 3u), vec4u(u.outputs - 1u)) * u.inputs;
  let columns = min(firstImage + IMAGES, vec4u(u.images - 1u));
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  for (var i = thread; i < u.inputs; i += THREADS) {
    let at = columns + i * u.images;
    let ofX = vec4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    sums0 += w[rows.x + i] * ofX;
    sums1 += w[rows.y + i] * ofX;
    sums2 += w[rows.z + i] * ofX;
    sums3 += w[rows.w + i] * ofX;
  }
  memory[thread] = sums0;
  memory[THREADS + thread] = sums1;
  memory[2u * THREADS + thread] = sums2;
  memory[3u * THREADS + thread] = sums3;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      for (var at = thread; at < 4u * THREADS; at += THREADS) {
        memory[at] += memory[at + half];
      }
    }
  }
  workgroupBarrier();
  let row = firstRow + thread / 4u;
  let n = firstImage + thread % 4u;
  if (thread < 16u && row < u.outputs && n < u.images) {
    y[row * u.images + n] = b[row] + memory[thread / 4u * THREADS][thread % 4u];
  }
}
