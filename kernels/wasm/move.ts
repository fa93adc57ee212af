// Moving floats: loops over 16-byte vectors, the rest one by one. Addresses need no alignment.

/** to[i] = from[i], i < count; the two don't overlap. For short runs, where a call of memory.copy would cost more. */
export function copyFloats(to: usize, from: usize, count: i32): void {
  const end = to + ((<usize>count) << 2);
  const vectors = to + (((<usize>count) >> 2) << 4);
  for (; to < vectors; to += 16, from += 16) v128.store(to, v128.load(from));
  for (; to < end; to += 4, from += 4) store<f32>(to, load<f32>(from));
}

/** to[i] = value, i < count. */
export function fillFloats(to: usize, value: f32, count: i32): void {
  const end = to + ((<usize>count) << 2);
  const vectors = to + (((<usize>count) >> 2) << 4);
  const splat = f32x4.splat(value);
  for (; to < vectors; to += 16) v128.store(to, splat);
  for (; to < end; to += 4) store<f32>(to, value);
}

/** to[i] += from[i], i < count. */
export function addFloats(to: usize, from: usize, count: i32): void {
  const end = to + ((<usize>count) << 2);
  const vectors = to + (((<usize>count) >> 2) << 4);
  for (; to < vectors; to += 16, from += 16) v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
  for (; to < end; to += 4, from += 4) store<f32>(to, load<f32>(to) + load<f32>(from));
}

/** Copies any bytes. */
export function copyBytes(to: usize, from: usize, count: usize): void {
  memory.copy(to, from, count);
}
