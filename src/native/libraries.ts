export async function findWgpu(): Promise<string> {
  return new URL("../../.cache/native/wgpu-native-29.0.1.1/libwgpu_native.so", import.meta.url).pathname;
}
