/**
 * How many waves of a kernel an AMD GPU can have in flight: the more there are, the better it hides the latency of
 * memory. The limits are those of AMD's instruction set manuals, as Mesa's ac_gpu_info.c has them.
 */

/** What bounds the waves of a chip. All waves have 64 lanes, as RADV makes those of compute shaders. */
export interface Chip {
  /** RADV_FORCE_FAMILY. */
  readonly family: string;
  /** For people: the architecture, and a card that has the chip. */
  readonly name: string;
  /** Waves that a SIMD can hold. */
  readonly waves: number;
  /** Vector and scalar registers that the waves of a SIMD share, and the units in which they are given out. */
  readonly vgprs: number;
  readonly vgprUnit: number;
  readonly sgprs: number;
  readonly sgprUnit: number;
  /** SIMDs of a compute unit, which share its workgroup memory. */
  readonly simds: number;
}

/** Of a compute unit. Its workgroups of more than a wave are limited too, by the barriers that they may wait at. */
const WORKGROUP_BYTES = 65_536;
const WORKGROUP_UNIT = 512;
const WORKGROUPS = 16;

const GCN = { waves: 10, vgprs: 256, vgprUnit: 4, sgprs: 800, sgprUnit: 16, simds: 4 };
// Scalar registers no longer limit waves.
const RDNA = { waves: 20, vgprs: 512, vgprUnit: 4, sgprs: Infinity, sgprUnit: 1, simds: 2 };

/** Oldest first. */
export const CHIPS: readonly Chip[] = [
  { ...GCN, family: "tahiti", name: "GCN 1 (HD 7970)", sgprs: 512, sgprUnit: 8 },
  { ...GCN, family: "polaris10", name: "GCN 4 (RX 580)", waves: 8 },
  { ...GCN, family: "vega10", name: "GCN 5 (Vega 64)" },
  { ...GCN, family: "renoir", name: "GCN 5 (Ryzen 4000)" },
  { ...RDNA, family: "navi10", name: "RDNA 1 (RX 5700)" },
  { ...RDNA, family: "navi21", name: "RDNA 2 (RX 6800)", waves: 16, vgprUnit: 8 },
  { ...RDNA, family: "gfx1100", name: "RDNA 3 (RX 7900)", waves: 16, vgprs: 768, vgprUnit: 12 },
];

/** What a compiled kernel needs. */
export interface Needs {
  /** Registers of a wave; vector registers hold a number for each lane. */
  readonly vgprs: number;
  readonly sgprs: number;
  /** Threads and memory of a workgroup. */
  readonly threads: number;
  readonly workgroupBytes: number;
}

/** Waves that a SIMD can hold of a kernel; a fraction where its workgroups fill the SIMDs unevenly. */
export function wavesInFlight(chip: Chip, { vgprs, sgprs, threads, workgroupBytes }: Needs): number {
  const perSimd = Math.min(
    chip.waves,
    Math.floor(chip.vgprs / roundUp(vgprs, chip.vgprUnit)),
    Math.floor(chip.sgprs / roundUp(sgprs, chip.sgprUnit)),
  );
  const wavesOfGroup = Math.ceil(threads / 64);
  const workgroups = Math.min(
    Math.floor((perSimd * chip.simds) / wavesOfGroup),
    wavesOfGroup > 1 ? WORKGROUPS : Infinity,
    Math.floor(WORKGROUP_BYTES / roundUp(workgroupBytes, WORKGROUP_UNIT)),
  );
  return (workgroups * wavesOfGroup) / chip.simds;
}

/** At least one unit. */
function roundUp(amount: number, unit: number): number {
  return Math.max(1, Math.ceil(amount / unit)) * unit;
}
