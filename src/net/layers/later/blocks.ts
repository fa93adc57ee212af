/** Layers made of layers. */
import { add } from "../../../engine/ops/later/add.ts";
import { concat as concatOp } from "../../../engine/ops/later/concat.ts";
import { ShapeError, UsageError } from "../../../errors.ts";
import { show } from "../../../options.ts";
import { flatten, type Block, type Layer, type Rows } from "../../layer.ts";
import type { Kinds } from "../kinds.ts";

/**
 * body(x) + shortcut(x) (He et al. 2015, arXiv 1512.03385 §3.2). An empty shortcut passes x on; it must
 * have layers if the body changes the shape.
 * @throws UsageError for an empty body, and for anything but layers
 */
export function residual(name: string, body: Rows, shortcut: Rows = []): Block {
  const branches = checkedBranches("residual", name, { body, shortcut });
  if (branches.body.length === 0) throw new UsageError(`residual ${name}: the body has no layers`);
  return {
    ...{ kind: "residual", name, options: {}, settings: "body + shortcut", branches, fuses: ["activation"] },
    outputShape([ofBody, ofShortcut]) {
      if (ofBody!.join() === ofShortcut!.join()) return ofBody!;
      throw new ShapeError(
        `the body's output is ${ofBody!.join("×")}, the shortcut's ${ofShortcut!.join("×")}: must be the same`,
      );
    },
    merge: ([ofBody, ofShortcut], activation) => add(ofBody!, ofShortcut!, { activation }),
    toOnnx: (graph, outputs) => graph.add("Add", outputs),
  };
}

/**
 * The outputs of the branches one behind the other, map by map, as in an Inception module (Szegedy et al. 2014, arXiv
 * 1409.4842 §4). An empty branch passes x on.
 * @throws UsageError for no branches, and for anything but layers
 */
export function concat(name: string, branches: readonly Rows[]): Block {
  if (!Array.isArray(branches) || branches.length === 0) {
    throw new UsageError(`concat ${name}: the branches are ${show(branches)}, must be an array of at least one`);
  }
  const named = Object.fromEntries(branches.map((rows, i) => [`branch${i + 1}`, rows]));
  return {
    ...{ kind: "concat", name, options: {}, settings: `${branches.length} branches` },
    branches: checkedBranches("concat", name, named),
    outputShape(outputs) {
      const [, h, w] = outputs[0]!;
      if (outputs.every((output) => output[1] === h && output[2] === w)) {
        return [outputs.reduce((sum, [c]) => sum + c, 0), h, w];
      }
      const shapes = outputs.map((output) => output.join("×")).join(", ");
      throw new ShapeError(`the branches' outputs are ${shapes}: must be of one height and width`);
    },
    merge: (outputs) => concatOp(outputs),
    toOnnx: (graph, outputs) => graph.add("Concat", outputs, { axis: 1 }),
  };
}

/** @throws UsageError unless the name is a string and each branch a list */
function checkedBranches<B extends string>(
  kind: string,
  name: string,
  branches: Readonly<Record<B, Rows>>,
): Record<B, readonly Layer[]> {
  if (typeof name !== "string") throw new UsageError(`${kind}: the name is ${show(name)}, must be a string`);
  const flat = Object.entries<Rows>(branches).map(([branch, rows]) => {
    if (Array.isArray(rows)) return [branch, flatten(rows)];
    throw new UsageError(`${kind} ${name}: ${branch} is ${show(rows)}, must be a list of layers`);
  });
  return Object.fromEntries(flat) as Record<B, readonly Layer[]>;
}

export const blockKinds: Kinds = {
  concat: ({ name, ...branches }: { name: string } & Record<string, Rows>) => concat(name, inOrder(branches)),
  residual: ({ name, body, shortcut }: { name: string; body: Rows; shortcut?: Rows }) => residual(name, body, shortcut),
};

/** branch1, branch2, … as far as they go; what is left over is refused as an unknown option. */
function inOrder(branches: Readonly<Record<string, Rows>>): Rows[] {
  const rows: Rows[] = [];
  while (Object.hasOwn(branches, `branch${rows.length + 1}`)) rows.push(branches[`branch${rows.length + 1}`]!);
  return rows;
}
