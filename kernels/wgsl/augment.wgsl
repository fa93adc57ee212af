// From decoded pixels to a network's input (paper §2, §4.1): crop, mirror, subtract the mean image, shift the colours.
//
//   x[c, i, j, n] = (pixels[n, top + i, left + j', c] - mean[top + i, left + j', c] + shift[c]) * scale
//
// with j' = crop - 1 - j if image n is mirrored, else j.
// pixels: N × side × side × 3 bytes, four in a word, the first one lowest. views: N × 8, the row n holding top, left,
// mirror (0 or 1), scale, the shifts of red, green and blue, and a number that is not used. mean: side × side × 3,
// x: 3 × crop × crop × N. One thread computes the three colours of one pixel.

struct Uniforms {
  images: u32,
  side: u32,
  crop: u32,
}

@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> views: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn augment(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  let plane = u.crop * u.crop * u.images;
  if (at >= plane) {
    return;
  }
  let n = at % u.images;
  let j = at / u.images % u.crop;
  let i = at / u.images / u.crop;
  let view = n * 8u;
  let top = u32(views[view]);
  let left = u32(views[view + 1u]);
  let mirrored = views[view + 2u] != 0.0;
  let scale = views[view + 3u];
  let source = ((top + i) * u.side + left + select(j, u.crop - 1u - j, mirrored)) * 3u;
  for (var c = 0u; c < 3u; c++) {
    let byte = n * u.side * u.side * 3u + source + c;
    let pixel = (pixels[byte / 4u] >> (byte % 4u * 8u)) & 255u;
    x[c * plane + at] = (f32(pixel) - mean[source + c] + views[view + 4u + c]) * scale;
  }
}
