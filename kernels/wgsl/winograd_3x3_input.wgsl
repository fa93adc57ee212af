// Winograd's minimal filtering F(4 × 4, 3 × 3): transforms patches of the input.
//
//   patches[i, j, c, tile, n] = (B^T d B)[i, j],  d the 6 × 6 pixels of map c from row 4p - pad, column 4q - pad on
//
// where tile = p * TW + q is the one whose 4 × 4 outputs need the patch. x: C × H × W × N, zero outside the image;
// patches: 6 × 6 × C × (TH · TW) × N. B^T is for the points 0, 1, -1, 2, -2 (Lavin and Gray, arXiv:1509.09308). One
// thread transforms a patch of one image; neighbouring threads have neighbouring images.

struct Uniforms {
  images: u32,
  c: u32,
  h: u32,
  w: u32,
  pad: u32,
  th: u32,
  tw: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> patches: array<f32>;

@compute @workgroup_size(64)
fn winograd_3x3_input(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let tiles = u.th * u.tw;
  let size = u.c * tiles * u.images;
  let at = id.x + id.y * groups.x * 64u;
  if (at >= size) {
    return;
  }
  let n = at % u.images;
  let tile = at / u.images % tiles;
  let map = at / u.images / tiles;
  let top = tile / u.tw * 4u - u.pad;
  let left = tile % u.tw * 4u - u.pad;
  let d0 = pixels(map, top, left, n);
  let d1 = pixels(map, top + 1u, left, n);
  let d2 = pixels(map, top + 2u, left, n);
  let d3 = pixels(map, top + 3u, left, n);
  let d4 = pixels(map, top + 4u, left, n);
  let d5 = pixels(map, top + 5u, left, n);
  store(0u, at, size, 4.0 * d0 - 5.0 * d2 + d4);
  store(1u, at, size, d3 + d4 - 4.0 * (d1 + d2));
  store(2u, at, size, d4 - d3 + 4.0 * (d1 - d2));
  store(3u, at, size, d4 - d2 + 2.0 * (d3 - d1));
  store(4u, at, size, d4 - d2 - 2.0 * (d3 - d1));
  store(5u, at, size, 4.0 * d1 - 5.0 * d3 + d5);
}

// Six consecutive pixels of a row.
fn pixels(map: u32, row: u32, left: u32, n: u32) -> mat2x3f {
  return mat2x3f(
    pixel(map, row, left, n), pixel(map, row, left + 1u, n), pixel(map, row, left + 2u, n),
    pixel(map, row, left + 3u, n), pixel(map, row, left + 4u, n), pixel(map, row, left + 5u, n),
  );
}

fn pixel(map: u32, row: u32, column: u32, n: u32) -> f32 {
  // Negative rows and columns wrap to numbers that are too large.
  if (row >= u.h || column >= u.w) {
    return 0.0;
  }
  return x[((map * u.h + row) * u.w + column) * u.images + n];
}

// Transforms a row of a patch and stores it.
fn store(row: u32, at: u32, size: u32, d: mat2x3f) {
  let first = row * 6u * size + at;
  patches[first] = 4.0 * d[0].x - 5.0 * d[0].z + d[1].y;
  patches[first + size] = d[1].x + d[1].y - 4.0 * (d[0].y + d[0].z);
  patches[first + 2u * size] = d[1].y - d[1].x + 4.0 * (d[0].y - d[0].z);
  patches[first + 3u * size] = d[1].y - d[0].z + 2.0 * (d[1].x - d[0].y);
  patches[first + 4u * size] = d[1].y - d[0].z - 2.0 * (d[1].x - d[0].y);
  patches[first + 5u * size] = 4.0 * d[0].y - 5.0 * d[1].x + d[1].z;
}
