// Winograd's minimal filtering F(4 × 4, 5 × 5): transforms patches of the input.
//
//   patches[i, j, c, tile, n] = (B^T d B)[i, j],  d the 8 × 8 pixels of map c from row 4p - pad, column 4q - pad on
//
// where tile = p * TW + q is the one whose 4 × 4 outputs need the patch. x: C × H × W × N, zero outside the image;
// patches: 8 × 8 × C × (TH · TW) × N. B^T is for the points 0, 1, -1, 2, -2, 1/2, -1/2 (Lavin and Gray,
// arXiv:1509.09308). One thread transforms a patch of one image; neighbouring threads have neighbouring images.

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
fn winograd_5x5_input(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
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
  let d6 = pixels(map, top + 6u, left, n);
  let d7 = pixels(map, top + 7u, left, n);
  // Points come in pairs p and -p: sums of even powers, and of odd ones.
  let even1 = d2 - 4.25 * d4 + d6;
  let odd1 = d1 - 4.25 * d3 + d5;
  let even2 = 0.25 * d2 - 1.25 * d4 + d6;
  let odd2 = 0.5 * d1 - 2.5 * d3 + 2.0 * d5;
  let even3 = 4.0 * d2 - 5.0 * d4 + d6;
  let odd3 = 2.0 * d1 - 2.5 * d3 + 0.5 * d5;
  store(0u, at, size, d0 - d6 + 5.25 * (d4 - d2));
  store(1u, at, size, even1 + odd1);
  store(2u, at, size, even1 - odd1);
  store(3u, at, size, even2 + odd2);
  store(4u, at, size, even2 - odd2);
  store(5u, at, size, even3 + odd3);
  store(6u, at, size, even3 - odd3);
  store(7u, at, size, d7 - d1 + 5.25 * (d3 - d5));
}

// Eight consecutive pixels of a row.
fn pixels(map: u32, row: u32, left: u32, n: u32) -> mat2x4f {
  return mat2x4f(
    pixel(map, row, left, n), pixel(map, row, left + 1u, n), pixel(map, row, left + 2u, n),
    pixel(map, row, left + 3u, n), pixel(map, row, left + 4u, n), pixel(map, row, left + 5u, n),
    pixel(map, row, left + 6u, n), pixel(map, row, left + 7u, n),
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
fn store(row: u32, at: u32, size: u32, d: mat2x4f) {
  let even1 = d[0].z - 4.25 * d[1].x + d[1].z;
  let odd1 = d[0].y - 4.25 * d[0].w + d[1].y;
  let even2 = 0.25 * d[0].z - 1.25 * d[1].x + d[1].z;
  let odd2 = 0.5 * d[0].y - 2.5 * d[0].w + 2.0 * d[1].y;
  let even3 = 4.0 * d[0].z - 5.0 * d[1].x + d[1].z;
  let odd3 = 2.0 * d[0].y - 2.5 * d[0].w + 0.5 * d[1].y;
  let first = row * 8u * size + at;
  patches[first] = d[0].x - d[1].z + 5.25 * (d[1].x - d[0].z);
  patches[first + size] = even1 + odd1;
  patches[first + 2u * size] = even1 - odd1;
  patches[first + 3u * size] = even2 + odd2;
  patches[first + 4u * size] = even2 - odd2;
  patches[first + 5u * size] = even3 + odd3;
  patches[first + 6u * size] = even3 - odd3;
  patches[first + 7u * size] = d[1].w - d[0].y + 5.25 * (d[0].w - d[1].y);
}
