/**
 * Networks of inverted residual blocks: depthwise convolutions between 1×1 ones that widen and narrow (Sandler et al.
 * 2018, arXiv 1801.04381).
 */
import type { Rows } from "../layer.ts";
import { batchNorm, conv, divide, dropout, fc, globalAveragePool, relu6, residual } from "../layers/index.ts";
import type { Network } from "../recipe.ts";
import { fanOut, PHOTOS, TORCHVISION_RECIPE, toUnit } from "./torchvision_networks.ts";

/** A network's kind of convolution with its norm. `groups` is as in `conv`. */
type ConvNorm = (name: string, norm: string, maps: number, size: number, stride?: number, groups?: number) => Rows;

/** Names of a convolution and its norm. */
type Names = readonly [conv: string, norm: string];

interface BlockNames {
  readonly expand: Names;
  readonly depthwise: Names;
  readonly project: Names;
}

/** A row of a paper's table: the hidden maps are `expansion` times the inputs; `stride` is that of the first block. */
type Stage = readonly [expansion: number, maps: number, blocks: number, stride: number, size: number];

/** @param namesOf the names in block `i`, the first being 0; those of `expand` go unused where the expansion is 1 */
function invertedResiduals(
  inputs: number,
  stages: readonly Stage[],
  convNorm: ConvNorm,
  namesOf: (i: number, expansion: number) => BlockNames,
): Rows {
  const rows: Rows[] = [];
  let before = inputs;
  for (const [expansion, maps, blocks, strideOfFirst, size] of stages) {
    for (let i = 0; i < blocks; i++) {
      const { expand, depthwise, project } = namesOf(rows.length, expansion);
      const [hidden, stride] = [expansion * before, i === 0 ? strideOfFirst : 1];
      const body = [
        expansion === 1 ? [] : [convNorm(...expand, hidden, 1), relu6()],
        [convNorm(...depthwise, hidden, size, stride, hidden), relu6()],
        convNorm(...project, maps, 1),
      ];
      rows.push(stride === 1 && before === maps ? [residual(`block${rows.length}`, body)] : body);
      before = maps;
    }
  }
  return rows;
}

export const mobilenetV2: Network = {
  ...PHOTOS,
  name: "mobilenet_v2",
  about: "inverted residual blocks with depthwise convolutions (arXiv 1801.04381)",
  // torchvision's rate falls by 2% an epoch, from 0.045 to 0.0001.
  recipe: { ...TORCHVISION_RECIPE, epochs: 300, decay: 0.00004, schedule: { kind: "cosine", rate: 0.045 } },
  layers: (classes) => {
    const convNorm: ConvNorm = (name, norm, maps, size, stride = 1, groups = 1) => [
      conv(name, maps, size, { stride, pad: (size - 1) / 2, groups, sigma: fanOut(maps, size), bias: false }),
      batchNorm(norm),
    ];
    const stages: readonly Stage[] = [
      [1, 16, 1, 1, 3],
      [6, 24, 2, 2, 3],
      [6, 32, 3, 2, 3],
      [6, 64, 4, 2, 3],
      [6, 96, 3, 1, 3],
      [6, 160, 3, 2, 3],
      [6, 320, 1, 1, 3],
    ];
    const namesOf = (i: number, expansion: number): BlockNames => {
      const block = `features.${i + 1}.conv`;
      const first = expansion === 1 ? 0 : 1;
      return {
        expand: [`${block}.0.0`, `${block}.0.1`],
        depthwise: [`${block}.${first}.0`, `${block}.${first}.1`],
        project: [`${block}.${first + 1}`, `${block}.${first + 2}`],
      };
    };
    return [
      [toUnit(), convNorm("features.0.0", "features.0.1", 32, 3, 2), relu6()],
      invertedResiduals(32, stages, convNorm, namesOf),
      [convNorm("features.18.0", "features.18.1", 1280, 1), relu6(), globalAveragePool()],
      [dropout(0.8), fc("classifier.1", classes, { sigma: 0.01 })],
    ];
  },
};

export const efficientnetLite0: Network = {
  ...PHOTOS,
  name: "efficientnet-lite0",
  about: "EfficientNet-B0 (arXiv 1905.11946) without squeeze-and-excitation, with ReLU6 in place of Swish",
  // Google trained it with RMSProp and stochastic depth, which are not here; decay and smoothing are theirs.
  recipe: {
    ...mobilenetV2.recipe,
    decay: 0.00001,
    augmentation: { ...TORCHVISION_RECIPE.augmentation, smooth: 0.1 },
  },
  // As its weights were trained.
  resize: "bicubic",
  // github.com/tensorflow/tpu, models/official/efficientnet/lite; the names and PyTorch's initial weights of PyPI's
  // efficientnet-lite-pytorch.
  layers: (classes) => {
    const convNorm: ConvNorm = (name, norm, maps, size, stride = 1, groups = 1) => [
      conv(name, maps, size, { stride, pad: "same", groups, sigma: "fan-in", bias: false }),
      batchNorm(norm, { momentum: 0.01, epsilon: 1e-3 }),
    ];
    const stages: readonly Stage[] = [
      [1, 16, 1, 1, 3],
      [6, 24, 2, 2, 3],
      [6, 40, 2, 2, 5],
      [6, 80, 3, 2, 3],
      [6, 112, 3, 1, 5],
      [6, 192, 4, 2, 5],
      [6, 320, 1, 1, 3],
    ];
    const namesOf = (i: number): BlockNames => ({
      expand: [`_blocks.${i}._expand_conv`, `_blocks.${i}._bn0`],
      depthwise: [`_blocks.${i}._depthwise_conv`, `_blocks.${i}._bn1`],
      project: [`_blocks.${i}._project_conv`, `_blocks.${i}._bn2`],
    });
    return [
      [divide(128), convNorm("_conv_stem", "_bn0", 32, 3, 2), relu6()],
      invertedResiduals(32, stages, convNorm, namesOf),
      [convNorm("_conv_head", "_bn1", 1280, 1), relu6(), globalAveragePool()],
      [dropout(0.8), fc("_fc", classes, { sigma: "fan-in" })],
    ];
  },
};
