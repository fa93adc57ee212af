// From decoded pixels to a network's input (paper §2 and §4.1): crop, mirror, subtract the mean, shift the colours.
//
//   x[c, i, j, n] = (pixels[n, top + i, left + j', c] − mean[top + i, left + j', c] + shift[c]) · scale
//
// j' = crop − 1 − j if image n is mirrored, else j. views[n] = [top, left, mirror, scale, shift × 3, unused].
// pixels: N × side × side × 3 bytes, mean: side × side × 3, x: 3 × crop × crop × N. A call computes row i of x. Images
// are taken 16 at a time: what they write lies in the same cache lines.

export function augmentRow(
  pixels: usize,
  views: usize,
  mean: usize,
  x: usize,
  i: i32,
  images: i32,
  side: i32,
  crop: i32,
): void {
  const plane = (<usize>crop * crop * images) << 2;
  const pixel = (<usize>images) << 2;
  const row = x + ((<usize>i * crop * images) << 2);
  for (let first = 0; first < images; first += 16) {
    const end = min(first + 16, images);
    for (let n = first; n < end; n++) {
      const view = views + ((<usize>n) << 5);
      const start = ((<i32>load<f32>(view) + i) * side + <i32>load<f32>(view, 4)) * 3;
      const mirror = load<f32>(view, 8) != 0;
      const scale = load<f32>(view, 12);
      const red = load<f32>(view, 16);
      const green = load<f32>(view, 20);
      const blue = load<f32>(view, 24);
      const image = pixels + <usize>n * side * side * 3;
      let to = row + ((<usize>n) << 2);
      for (let j = 0; j < crop; j++, to += pixel) {
        const at = <usize>(start + (mirror ? crop - 1 - j : j) * 3);
        const byte = image + at;
        const average = mean + (at << 2);
        store<f32>(to, (<f32>load<u8>(byte) - load<f32>(average) + red) * scale);
        store<f32>(to + plane, (<f32>load<u8>(byte, 1) - load<f32>(average, 4) + green) * scale);
        store<f32>(to + 2 * plane, (<f32>load<u8>(byte, 2) - load<f32>(average, 8) + blue) * scale);
      }
    }
  }
}
