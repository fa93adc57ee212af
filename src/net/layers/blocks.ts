/** Layers made of layers. */
import { add } from "../../engine/ops/add.ts";
import { ShapeError, UsageError } from "../../errors.ts";
import { show } from "../../options.ts";
import { flatten, type Block, type Rows } from "../layer.ts";
import type { Kinds } from "./kinds.ts";

/**
 * body(x) + shortcut(x) (He et al. 2015, arXiv 1512.03385 §3.2). An empty shortcut passes x on; it must
 * have layers if the body changes the shape.
 * @throws UsageError for an empty body, and for anything but layers
 */
export function residual(name: string, body: Rows, shortcut: Rows = []): Block {
  if (typeof name !== "string") throw new UsageError(`residual: the name is ${show(name)}, must be a string`);
  for (const [branch, rows] of Object.entries({ body, shortcut })) {
    if (!Array.isArray(rows))
      throw new UsageError(`residual ${name}: ${branch} is ${show(rows)}, must be a list of layers`);
  }
  const branches = { body: flatten(body), shortcut: flatten(shortcut) };
  if (branches.body.length === 0) throw new UsageError(`residual ${name}: the body has no layers`);
  return {
    ...{ kind: "residual", name, options: {}, settings: "body + shortcut", branches },
    outputShape([ofBody, ofShortcut]) {
      if (ofBody!.join() === ofShortcut!.join()) return ofBody!;
      throw new ShapeError(
        `the body's output is ${ofBody!.join("×")}, the shortcut's ${ofShortcut!.join("×")}: must be the same`,
      );
    },
    merge: ([ofBody, ofShortcut]) => add(ofBody!, ofShortcut!),
    toOnnx: (graph, outputs) => graph.add("Add", outputs),
  };
}

export const blockKinds: Kinds = {
  residual: ({ name, body, shortcut }: { name: string; body: Rows; shortcut?: Rows }) => residual(name, body, shortcut),
};
