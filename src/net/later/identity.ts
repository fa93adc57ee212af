/** Makes the first filters Dirac's δ of a map each, as PyTorch's `dirac_` does. @param values O × C × H × W */
export function passMapsOn(
  values: Float32Array,
  [filters = 0, maps = 0, height = 0, width = 0]: readonly number[],
): void {
  const plane = height * width;
  const centre = Math.floor(height / 2) * width + Math.floor(width / 2);
  const same = Math.min(filters, maps);
  values.fill(0, 0, same * maps * plane);
  for (let map = 0; map < same; map++) values[(map * maps + map) * plane + centre] = 1;
}
