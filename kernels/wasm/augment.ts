// From decoded pixels to a network's input (paper §2 and §4.1): a crop, perhaps mirrored, less the mean image.
//
//   x[c, i, j, n] = (pixels[n, top + i, left + j', c] − mean[top + i, left + j', c] + shift[c]) · scale
//
// j' = crop − 1 − j if image n is mirrored, else j. Outside of an image it is continued by reflection. If its view is
// extended, p and m are the pixels and the mean image,
// sampled bilinearly at the corresponding point of the source box, and
//
//   own[c, i, j, n] = 0 in the erased box, else (matrix[c] · p + shift[c] − m[c]) · scale
//   x[c, i, j, n]   = own(partner) in the cut box, else share · own(n) + (1 − share) · own(partner)
//
// views[n] = [top, left, mirror, scale, shift × 3, extended, height, width, matrix × 9, erased box × 4, partner, share,
// cut box × 4, unused × 3], a box as top, left, bottom, right. pixels: N × side × side × 3 bytes, mean:
// side × side × 3, x: 3 × crop × crop × N. A call computes row `item` of x. Images are processed 16 at a time, since
// they write to the same cache lines.

/** Byte offsets of a view's numbers. */
const LEFT: usize = 4;
const MIRROR: usize = 8;
const SCALE: usize = 12;
const SHIFT: usize = 16;
const EXTENDED: usize = 28;
const HEIGHT: usize = 32;
const WIDTH: usize = 36;
const MATRIX: usize = 40;
const ERASE: usize = 76;
const PARTNER: usize = 92;
const SHARE: usize = 96;
const CUT: usize = 100;

export function augment(
  item: i32,
  pixels: usize,
  views: usize,
  mean: usize,
  x: usize,
  images: i32,
  side: i32,
  crop: i32,
): void {
  const plane = (<usize>crop * crop * images) << 2;
  const pixel = (<usize>images) << 2;
  const row = x + ((<usize>item * crop * images) << 2);
  for (let first = 0; first < images; first += 16) {
    const end = min(first + 16, images);
    for (let n = first; n < end; n++) {
      const view = views + ((<usize>n) << 7);
      const to = row + ((<usize>n) << 2);
      if (load<f32>(view, EXTENDED) == 0) {
        usualRow(pixels + <usize>n * side * side * 3, view, mean, to, item, side, crop, pixel, plane);
      } else {
        extendedRow(pixels, views, mean, to, item, n, side, crop, pixel, plane);
      }
    }
  }
}

function usualRow(
  image: usize,
  view: usize,
  mean: usize,
  to: usize,
  i: i32,
  side: i32,
  crop: i32,
  pixel: usize,
  plane: usize,
): void {
  const row = reflected(<i32>load<f32>(view) + i, side) * side;
  const left = <i32>load<f32>(view, LEFT);
  const mirror = load<f32>(view, MIRROR) != 0;
  const scale = load<f32>(view, SCALE);
  const red = load<f32>(view, SHIFT);
  const green = load<f32>(view, SHIFT + 4);
  const blue = load<f32>(view, SHIFT + 8);
  for (let j = 0; j < crop; j++, to += pixel) {
    const at = <usize>((row + reflected(left + (mirror ? crop - 1 - j : j), side)) * 3);
    const byte = image + at;
    const average = mean + (at << 2);
    store<f32>(to, (<f32>load<u8>(byte) - load<f32>(average) + red) * scale);
    store<f32>(to + plane, (<f32>load<u8>(byte, 1) - load<f32>(average, 4) + green) * scale);
    store<f32>(to + 2 * plane, (<f32>load<u8>(byte, 2) - load<f32>(average, 8) + blue) * scale);
  }
}

function extendedRow(
  pixels: usize,
  views: usize,
  mean: usize,
  to: usize,
  i: i32,
  n: i32,
  side: i32,
  crop: i32,
  pixel: usize,
  plane: usize,
): void {
  const view = views + ((<usize>n) << 7);
  const bytes = <usize>side * side * 3;
  const share = load<f32>(view, SHARE);
  const cut = view + CUT;
  addRow(pixels + <usize>n * bytes, view, mean, cut, 0, share, true, to, i, side, crop, pixel, plane);
  if (share == 1 && load<f32>(cut) == load<f32>(cut, 8)) return;
  const partner = <usize>load<f32>(view, PARTNER);
  const other = views + (partner << 7);
  addRow(pixels + partner * bytes, other, mean, cut, 1, 1 - share, false, to, i, side, crop, pixel, plane);
}

/** Stores (`first`) or adds a row of own, times `inside` for pixels in the cut box and `outside` for the others. */
function addRow(
  image: usize,
  view: usize,
  mean: usize,
  cut: usize,
  inside: f32,
  outside: f32,
  first: bool,
  to: usize,
  i: i32,
  side: i32,
  crop: i32,
  pixel: usize,
  plane: usize,
): void {
  const extended = load<f32>(view, EXTENDED) != 0;
  const mirror = load<f32>(view, MIRROR) != 0;
  const height = extended ? <i32>load<f32>(view, HEIGHT) : crop;
  const width = extended ? <i32>load<f32>(view, WIDTH) : crop;
  const red = extended ? column(view + MATRIX) : f32x4(1, 0, 0, 0);
  const green = extended ? column(view + MATRIX + 4) : f32x4(0, 1, 0, 0);
  const blue = extended ? column(view + MATRIX + 8) : f32x4(0, 0, 1, 0);
  const shift = three(view + SHIFT);
  const scale = f32x4.splat(load<f32>(view, SCALE));
  // In each direction: the two pixels around the point, and the second's weight in units of 1 / (2 · crop).
  const parts = 2 * crop;
  const down = max(0, (2 * i + 1) * height - crop);
  const y = min(down / parts, height - 1);
  const weightY = f32x4.splat(<f32>(down % parts) / <f32>parts);
  const top = <i32>load<f32>(view) + y;
  const row = reflected(top, side) * side;
  const below = <usize>((reflected(top + (y + 1 < height ? 1 : 0), side) * side - row) * 3);
  const left = <i32>load<f32>(view, LEFT);
  for (let j = 0; j < crop; j++, to += pixel) {
    const weight = isInside(cut, i, j) ? inside : outside;
    let colour = f32x4.splat(0);
    if (weight != 0 && !(extended && isInside(view + ERASE, i, j))) {
      const right = max(0, (2 * (mirror ? crop - 1 - j : j) + 1) * width - crop);
      const whole = right / parts;
      const weightX = f32x4.splat(<f32>(right - whole * parts) / <f32>parts);
      const x = min(whole, width - 1);
      const at = <usize>((row + reflected(left + x, side)) * 3);
      const next = <usize>((row + reflected(left + x + (x + 1 < width ? 1 : 0), side)) * 3);
      const p = mix(
        mix(bytes3(image + at), bytes3(image + next), weightX),
        mix(bytes3(image + at + below), bytes3(image + next + below), weightX),
        weightY,
      );
      const m = mix(
        mix(three(mean + (at << 2)), three(mean + (next << 2)), weightX),
        mix(three(mean + ((at + below) << 2)), three(mean + ((next + below) << 2)), weightX),
        weightY,
      );
      colour = f32x4.mul(red, v128.shuffle<f32>(p, p, 0, 0, 0, 0));
      colour = f32x4.add(colour, f32x4.mul(green, v128.shuffle<f32>(p, p, 1, 1, 1, 1)));
      colour = f32x4.add(colour, f32x4.mul(blue, v128.shuffle<f32>(p, p, 2, 2, 2, 2)));
      colour = f32x4.mul(f32x4.sub(f32x4.add(colour, shift), m), scale);
      colour = f32x4.mul(f32x4.splat(weight), colour);
    }
    if (first) {
      store<f32>(to, f32x4.extract_lane(colour, 0));
      store<f32>(to + plane, f32x4.extract_lane(colour, 1));
      store<f32>(to + 2 * plane, f32x4.extract_lane(colour, 2));
    } else {
      store<f32>(to, load<f32>(to) + f32x4.extract_lane(colour, 0));
      store<f32>(to + plane, load<f32>(to + plane) + f32x4.extract_lane(colour, 1));
      store<f32>(to + 2 * plane, load<f32>(to + 2 * plane) + f32x4.extract_lane(colour, 2));
    }
  }
}

/** The pixel of an image that stands at `at` when the image is continued by reflection. */
function reflected(at: i32, side: i32): i32 {
  const last = side - 1;
  return last - abs(last - abs(at));
}

/** Whether pixel (i, j) lies in a box. */
function isInside(box: usize, i: i32, j: i32): bool {
  const y = <f32>i;
  const x = <f32>j;
  return y >= load<f32>(box) && x >= load<f32>(box, 4) && y < load<f32>(box, 8) && x < load<f32>(box, 12);
}

/** Three bytes as floats, and a 0. Reads no fourth byte, which may be beyond the memory. */
function bytes3(at: usize): v128 {
  const word = (<i32>load<u16>(at)) | ((<i32>load<u8>(at, 2)) << 16);
  const words = i16x8.extend_low_i8x16_u(i32x4.splat(word));
  return f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(words));
}

/** Three floats, and a 0. */
function three(at: usize): v128 {
  return v128.load_lane<f32>(at + 8, v128.load64_zero(at), 2);
}

/** A column of a 3 × 3 matrix, and a 0. */
function column(at: usize): v128 {
  return f32x4(load<f32>(at), load<f32>(at, 12), load<f32>(at, 24), 0);
}

function mix(a: v128, b: v128, weight: v128): v128 {
  return f32x4.add(a, f32x4.mul(weight, f32x4.sub(b, a)));
}
