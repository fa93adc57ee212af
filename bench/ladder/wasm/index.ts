export { scalar } from "./2_scalar";
export { simd } from "./3_simd";
