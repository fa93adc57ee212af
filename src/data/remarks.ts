/**
 * What was left alone where images were looked for, and what looks odd there: counted by kind, with one example, so
 * that every command can say it in the same words.
 */
import { DataError } from "../errors.ts";
import { plural } from "../words.ts";

/** What people call one of a kind, and several. */
const KINDS = {
  "other file": ["file that is no image", "files that are no images"],
  "other format": ["image in a format that can't be read", "images in formats that can't be read"],
  hidden: ["hidden or system item", "hidden or system items"],
  "broken name": ["file or folder whose name is no UTF-8", "files or folders whose names are no UTF-8"],
  unreadable: ["file that can't be read", "files that can't be read"],
  pipe: ["pipe", "pipes"],
  socket: ["socket", "sockets"],
  device: ["device", "devices"],
  "circular link": ["link that leads in a circle", "links that lead in circles"],
  "dangling link": ["link to nothing", "links to nothing"],
  "outward path": ["path or link that leads out of its archive", "paths or links that lead out of their archive"],
  "replaced member": ["member replaced by a later one of its name", "members replaced by later ones of their names"],
  "other member": ["archive member of an unknown kind", "archive members of unknown kinds"],
  "other archive": ["archive that is not needed", "archives that are not needed"],
  "no class": ["image outside of the class folders", "images outside of the class folders"],
  "no part": ["image outside of the parts", "images outside of the parts"],
  "unlabelled part": ["image of a part without class folders", "images of parts without class folders"],
  "unused part": ["image of a part that is not used", "images of parts that are not used"],
  "second image": ["image beside its sample's own", "images beside their samples' own"],
  "unlabelled image": ["image without a label", "images without a label"],
  "lone label": ["label without an image", "labels without an image"],
  "part as class": ["class called like a part of a set", "classes called like parts of a set"],
} as const satisfies Record<string, readonly [one: string, many: string]>;

export type RemarkKind = keyof typeof KINDS;

export interface Remark {
  readonly kind: RemarkKind;
  readonly count: number;
  /** The path of one of them, the first by name. */
  readonly example: string;
}

/** Collects remarks while a set is opened. What it holds does not depend on the order in which they came. */
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

/** Whether the set may not be what its owner takes it for, rather than that something was left alone. */
export function isWarning({ kind }: Remark): boolean {
  return kind === "part as class";
}

/** "3 pipes". */
export function counted({ kind, count }: Remark): string {
  const [one, many] = KINDS[kind];
  return plural(count, one, many);
}

/** A line for people. @param short how the example's path is written */
export function inWords(remark: Remark, short: (path: string) => string = (path) => path): string {
  const what = `${counted(remark)} (${short(remark.example)}${remark.count > 1 ? ", …" : ""})`;
  return isWarning(remark) ? `${what}: if that is what they are, call them train and val` : `left alone: ${what}`;
}

/** An error that also says what was left alone, which may be its reason. */
export function withRemarks(error: DataError, remarks: readonly Remark[]): DataError {
  if (remarks.length === 0) return error;
  return new DataError([error.message, ...remarks.map((remark) => inWords(remark))].join("; "), { cause: error });
}
