// Winograd's minimal filtering F(4 × 4, 3 × 3): transforms gradients of outputs, for the gradient of the weights.
//
//   gradients[i, j, o, tile, n] = (A g A^T)[i, j],  g the 4 × 4 numbers of dy's map o from row 4p, column 4q on
//
// where tile = p * TW + q. dy: O × OH × OW × N, zero outside the image; gradients: 6 × 6 × O × (TH · TW) × N. One
// thread transforms a tile of one image; neighbouring threads have neighbouring images.

struct Uniforms {
  images: u32,
  o: u32,
  oh: u32,
  ow: u32,
  th: u32,
  tw: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(64)
fn winograd_3x3_gradients(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let tiles = u.th * u.tw;
  let size = u.o * tiles * u.images;
  let at = id.x + id.y * groups.x * 64u;
  if (at >= size) {
    return;
  }
  let n = at % u.images;
  let tile = at / u.images % tiles;
  let map = at / u.images / tiles;
  let top = tile / u.tw * 4u;
  let left = tile % u.tw * 4u;
  let g0 = pixels(map, top, left, n);
  let g1 = pixels(map, top + 1u, left, n);
  let g2 = pixels(map, top + 2u, left, n);
  let g3 = pixels(map, top + 3u, left, n);
  // Points come in pairs p and -p: sums of even powers, and of odd ones.
  let even1 = g0 + g2;
  let odd1 = g1 + g3;
  let even2 = g0 + 4.0 * g2;
  let odd2 = 2.0 * g1 + 8.0 * g3;
  store(0u, at, size, g0);
  store(1u, at, size, even1 + odd1);
  store(2u, at, size, even1 - odd1);
  store(3u, at, size, even2 + odd2);
  store(4u, at, size, even2 - odd2);
  store(5u, at, size, g3);
}

// Four consecutive pixels of a row.
fn pixels(map: u32, row: u32, left: u32, n: u32) -> vec4f {
  return vec4f(
    pixel(map, row, left, n), pixel(map, row, left + 1u, n), pixel(map, row, left + 2u, n), pixel(map, row, left + 3u, n),
  );
}

fn pixel(map: u32, row: u32, column: u32, n: u32) -> f32 {
  if (row >= u.oh || column >= u.ow) {
    return 0.0;
  }
  return dy[((map * u.oh + row) * u.ow + column) * u.images + n];
}

// Transforms a row of a tile and stores it.
fn store(row: u32, at: u32, size: u32, g: vec4f) {
  let even1 = g.x + g.z;
  let odd1 = g.y + g.w;
  let even2 = g.x + 4.0 * g.z;
  let odd2 = 2.0 * g.y + 8.0 * g.w;
  let first = row * 6u * size + at;
  gradients[first] = g.x;
  gradients[first + size] = even1 + odd1;
  gradients[first + 2u * size] = even1 - odd1;
  gradients[first + 3u * size] = even2 + odd2;
  gradients[first + 4u * size] = even2 - odd2;
  gradients[first + 5u * size] = g.w;
}
