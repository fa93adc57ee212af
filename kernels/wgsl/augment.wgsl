// From decoded pixels to a network's input (paper §2, §4.1): a crop, perhaps mirrored, less the mean image.
//
//   x[c, i, j, n] = (pixels[n, top + i, left + j', c] - mean[top + i, left + j', c] + shift[c]) * scale
//
// with j' = crop - 1 - j if image n is mirrored, else j. Outside of an image it is continued by reflection. If its view is
// extended, p and m are the pixels and the mean
// image, sampled bilinearly at the corresponding point of the source box, and
//
//   own[c, i, j, n] = 0 in the erased box, else (matrix[c] · p + shift[c] - m[c]) * scale
//   x[c, i, j, n]   = own(partner) in the cut box, else share * own(n) + (1 - share) * own(partner)
//
// pixels: N × side × side × 3 bytes, four per word, the first one lowest. mean: side × side × 3, x:
// 3 × crop × crop × N. views: N × 32, row n holding top, left, mirror (0 or 1), scale, shift × 3, extended (0 or 1);
// height and width of the source box, matrix × 9, the erased box × 4, partner, share, the cut box × 4, and unused
// numbers. A box is its top, left, bottom, right. One thread computes the three colours of one pixel. A batch's images
// mostly have the same kind of view, so threads rarely diverge.

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

const VIEW = 32u;

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
  let view = n * VIEW;
  var colour: vec3f;
  if (views[view + 7u] == 0.0) {
    colour = usual(n, i, j);
  } else {
    let share = select(views[view + 24u], 0.0, isInside(view + 25u, i, j));
    if (share != 0.0) {
      colour = share * own(n, i, j);
    }
    if (share != 1.0) {
      colour += (1.0 - share) * own(u32(views[view + 23u]), i, j);
    }
  }
  x[at] = colour.x;
  x[plane + at] = colour.y;
  x[2u * plane + at] = colour.z;
}

fn own(n: u32, i: u32, j: u32) -> vec3f {
  let view = n * VIEW;
  if (views[view + 7u] == 0.0) {
    return usual(n, i, j);
  }
  if (isInside(view + 19u, i, j)) {
    return vec3f();
  }
  let rows = place(i, i32(views[view]), u32(views[view + 8u]));
  let column = select(j, u.crop - 1u - j, views[view + 2u] != 0.0);
  let columns = place(column, i32(views[view + 1u]), u32(views[view + 9u]));
  let sources = vec4u(
    (rows.low * u.side + columns.low) * 3u,
    (rows.low * u.side + columns.high) * 3u,
    (rows.high * u.side + columns.low) * 3u,
    (rows.high * u.side + columns.high) * 3u,
  );
  let p = mix(
    mix(pixelAt(n, sources.x), pixelAt(n, sources.y), columns.weight),
    mix(pixelAt(n, sources.z), pixelAt(n, sources.w), columns.weight),
    rows.weight,
  );
  let m = mix(
    mix(meanAt(sources.x), meanAt(sources.y), columns.weight),
    mix(meanAt(sources.z), meanAt(sources.w), columns.weight),
    rows.weight,
  );
  let turned = vec3f(dot(three(view + 10u), p), dot(three(view + 13u), p), dot(three(view + 16u), p));
  return (turned + three(view + 4u) - m) * views[view + 3u];
}

fn usual(n: u32, i: u32, j: u32) -> vec3f {
  let view = n * VIEW;
  let row = reflected(i32(views[view]) + i32(i));
  let column = reflected(i32(views[view + 1u]) + i32(select(j, u.crop - 1u - j, views[view + 2u] != 0.0)));
  let source = (row * u.side + column) * 3u;
  return (pixelAt(n, source) - meanAt(source) + three(view + 4u)) * views[view + 3u];
}

struct Place {
  low: u32,
  high: u32,
  weight: f32,
}

// Along one side of the source box: the two pixels between which the crop's pixel i lies, and the weight of the second.
fn place(i: u32, start: i32, length: u32) -> Place {
  let denominator = 2u * u.crop;
  let numerator = max((2u * i + 1u) * length, u.crop) - u.crop;
  let whole = min(numerator / denominator, length - 1u);
  return Place(
    reflected(start + i32(whole)),
    reflected(start + i32(min(whole + 1u, length - 1u))),
    f32(numerator % denominator) / f32(denominator),
  );
}

fn reflected(at: i32) -> u32 {
  let last = i32(u.side) - 1;
  return u32(last - abs(last - abs(at)));
}

fn isInside(box: u32, i: u32, j: u32) -> bool {
  let at = vec2f(f32(i), f32(j));
  return all(at >= vec2f(views[box], views[box + 1u])) && all(at < vec2f(views[box + 2u], views[box + 3u]));
}

fn pixelAt(n: u32, source: u32) -> vec3f {
  let first = n * u.side * u.side * 3u + source;
  var colour: vec3f;
  for (var c = 0u; c < 3u; c++) {
    let byte = first + c;
    colour[c] = f32((pixels[byte / 4u] >> (byte % 4u * 8u)) & 255u);
  }
  return colour;
}

fn meanAt(source: u32) -> vec3f {
  return vec3f(mean[source], mean[source + 1u], mean[source + 2u]);
}

fn three(at: u32) -> vec3f {
  return vec3f(views[at], views[at + 1u], views[at + 2u]);
}
