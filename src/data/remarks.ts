/**
 * What was ignored while opening a data set, and what looks odd there: counted by kind, with one example, so that every
 * command reports it in the same words.
 */
import { DataError } from "../errors.ts";
import { plural } from "../words.ts";

/** Singular and plural, for people. The keys are part of `--json` output. */
const KINDS = {
  "other file": ["file that is not an image", "files that are not images"],
  "other format": ["image in an unsupported format", "images in unsupported formats"],
  hidden: ["hidden or system item", "hidden or system items"],
  "broken name": ["file or folder whose name is not UTF-8", "files or folders whose names are not UTF-8"],
  unreadable: ["file that can't be read", "files that can't be read"],
  pipe: ["pipe", "pipes"],
  socket: ["socket", "sockets"],
  device: ["device", "devices"],
  "circular link": ["circular link", "circular links"],
  "dangling link": ["broken link", "broken links"],
  "outward path": ["path or link that leads out of its archive", "paths or links that lead out of their archive"],
  "replaced member": [
    "member replaced by a later one of the same name",
    "members replaced by later ones of the same name",
  ],
  "other member": ["archive member of unknown type", "archive members of unknown types"],
  "other archive": ["archive that is not needed", "archives that are not needed"],
  "no class": ["image outside the class folders", "images outside the class folders"],
  "no part": ["image outside the splits", "images outside the splits"],
  "unlabelled part": ["image of a split without class folders", "images of splits without class folders"],
  "unused part": ["image of a split that is not used", "images of splits that are not used"],
  "second image": ["extra image of a sample", "extra images of samples"],
  "unlabelled image": ["image without a label", "images without a label"],
  "lone label": ["label without an image", "labels without an image"],
  "part as class": ["class named like a split", "classes named like splits"],
} as const satisfies Record<string, readonly [one: string, many: string]>;

export type RemarkKind = keyof typeof KINDS;

export interface Remark {
  readonly kind: RemarkKind;
  readonly count: number;
  /** The path of the first of them by name. */
  readonly example: string;
}

/** Collects remarks while a set is opened. The result does not depend on their order. */
export class Remarks {
  readonly #found = new Map<RemarkKind, { count: number; example: string }>();

  add(kind: RemarkKind, path: string): void {
    const own = this.#found.get(kind);
    if (!own) this.#found.set(kind, { count: 1, example: path });
    else {
      own.count++;
      if (path < own.example) own.example = path;
    }
  }

  get(kind: RemarkKind): Remark | undefined {
    const found = this.#found.get(kind);
    return found && { kind, ...found };
  }

  list(): Remark[] {
    return (Object.keys(KINDS) as RemarkKind[]).flatMap((kind) => this.get(kind) ?? []);
  }
}

/** Whether a remark warns that the set may not be what its owner thinks; the others say what was ignored. */
export function isWarning({ kind }: Remark): boolean {
  return kind === "part as class";
}

/** Such as "3 pipes". */
export function counted({ kind, count }: Remark): string {
  const [one, many] = KINDS[kind];
  return plural(count, one, many);
}

/** A line for people. @param short abbreviates the example's path */
export function inWords(remark: Remark, short: (path: string) => string = (path) => path): string {
  const what = `${counted(remark)} (${short(remark.example)}${remark.count > 1 ? ", …" : ""})`;
  return isWarning(remark) ? `${what}: if they are splits, name them train and val` : `ignored: ${what}`;
}

/** The error with what was ignored, which may be its cause, appended. */
export function withRemarks(error: DataError, remarks: readonly Remark[]): DataError {
  if (remarks.length === 0) return error;
  return new DataError([error.message, ...remarks.map((remark) => inWords(remark))].join("; "), { cause: error });
}
