// Fully connected layer, gradient with respect to its input, for few images, where reading w takes all the time.
//
//   dx[i, n] = sum over o of w[o, i] * dy[o, n], added to what dx holds if `accumulate` is 1
//
// w: O × I, dy: O × N, dx: I × N.
//
// A workgroup computes 64 rows i for four images n; each thread has four of the rows, 16 apart, so that neighbouring
// threads read neighbouring weights. Sixteen teams of 16 threads share the terms o; their sums are added at the end,
// always in the same order.

const THREADS = 256u;
const TEAM = 16u;
const TEAMS = THREADS / TEAM;
// A thread's rows.
const APART = vec4u(0u, 16u, 32u, 48u);
const IMAGES = vec4u(0u, 1u, 2u, 3u);

struct Uniforms {
  outputs: u32,
  inputs: u32,
  images: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// The threads' sums for each of four rows; a component per image.
var<workgroup> memory: array<vec4f, 4 * THREADS>;

@compute @workgroup_size(THREADS)
fn linear_backward_x_narrow(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) tile: vec3u) {
  let firstImage = tile.x * 4u;
  let firstRow = tile.y * 64u;
  // Rows and images beyond the last are loaded as copies of it and not stored.
  let rows = min(firstRow + thread % TEAM + APART, vec4u(u.inputs - 1u));
  let columns = min(firstImage + IMAGES, vec4u(u.images - 1u));
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  for (var o = thread / TEAM; o < u.outputs; o += TEAMS) {
    let ofW = rows + o * u.inputs;
    let at = columns + o * u.images;
    let ofDy = vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
    sums0 += w[ofW.x] * ofDy;
    sums1 += w[ofW.y] * ofDy;
    sums2 += w[ofW.z] * ofDy;
    sums3 += w[ofW.w] * ofDy;
  }
  memory[thread] = sums0;
  memory[THREADS + thread] = sums1;
  memory[2u * THREADS + thread] = sums2;
  memory[3u * THREADS + thread] = sums3;
  for (var half = THREADS / 2u; half >= TEAM; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      for (var at = thread; at < 4u * THREADS; at += THREADS) {
        memory[at] += memory[at + half];
      }
    }
  }
  workgroupBarrier();
  // Each thread stores one result; neighbouring threads those of neighbouring images.
  let row = thread / 4u;
  let n = firstImage + thread % 4u;
  if (firstRow + row < u.inputs && n < u.images) {
    let sum = memory[row / TEAM * THREADS + row % TEAM][thread % 4u];
    let at = (firstRow + row) * u.images + n;
    if (u.accumulate == 1u) {
      dx[at] += sum;
    } else {
      dx[at] = sum;
    }
  }
}
