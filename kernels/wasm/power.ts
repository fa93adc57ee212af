/** s^−beta, s > 0. By two square roots for the paper's 0.75, else by pow for each number. */
export function inversePower4(s: v128, beta: f32): v128 {
  if (beta == 0.75) {
    const root = f32x4.sqrt(s);
    return f32x4.div(f32x4.splat(1), f32x4.mul(root, f32x4.sqrt(root)));
  }
  return f32x4(
    Mathf.pow(f32x4.extract_lane(s, 0), -beta),
    Mathf.pow(f32x4.extract_lane(s, 1), -beta),
    Mathf.pow(f32x4.extract_lane(s, 2), -beta),
    Mathf.pow(f32x4.extract_lane(s, 3), -beta),
  );
}

export function inversePower(s: f32, beta: f32): f32 {
  return f32x4.extract_lane(inversePower4(f32x4.splat(s), beta), 0);
}
