/** Reads the image out of a request: its body, or a file of a form. */
import { formatOf } from "../../data/header.ts";
import { dropped } from "../../io/garbage.ts";
import { Refusal } from "./refusal.ts";

const FORM = "multipart/form-data";
const RAW = /^(?:image\/.+|application\/octet-stream)$/;
const HOW = "send the image as the body, with Content-Type image/jpeg, image/png or image/webp, or as a file of a form";

/**
 * @param most bytes of the body
 * @param signal stops the reading, which then rejects with its reason
 * @throws Refusal of a body that is too large, or no image
 */
export async function imageOf(request: Request, most: number, signal: AbortSignal): Promise<Uint8Array> {
  const [type = ""] = (request.headers.get("content-type") ?? "").toLowerCase().split(";");
  const isForm = type.trim() === FORM;
  if (!isForm && type !== "" && !RAW.test(type.trim())) throw new Refusal(415, `Content-Type ${type}: ${HOW}`);
  const body = await bodyOf(request, most, signal);
  const image = isForm ? await fileIn(body, request.headers.get("content-type")!) : body;
  if (image.length === 0) throw new Refusal(400, `there is no image in the request: ${HOW}`);
  if (formatOf(image) === undefined) throw new Refusal(415, "it is not a JPEG, PNG or WebP image");
  return image;
}

async function bodyOf(request: Request, most: number, signal: AbortSignal): Promise<Uint8Array> {
  const tooLarge = () => new Refusal(413, `the body has more than ${most} bytes, the most that is taken`);
  // Refused before anything is read, if the sender says so.
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLarge();
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array();
  const stop = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  let length = 0;
  try {
    const chunks: Uint8Array[] = [];
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      length += value.length;
      if (length > most) {
        stop();
        throw tooLarge();
      }
      chunks.push(value);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    // Its pieces, and all of it once it is decoded.
    dropped(2 * length);
  }
}

/** The only file of a form. */
async function fileIn(body: Uint8Array, type: string): Promise<Uint8Array> {
  const files = await filesIn(body, type).catch(() => {
    throw new Refusal(400, "the form can't be read: it is cut short, or its boundary is missing");
  });
  if (files.length !== 1) throw new Refusal(400, `the form has ${files.length} files, must have one: the image`);
  return files[0]!.bytes();
}

async function filesIn(body: Uint8Array, type: string): Promise<Blob[]> {
  const headers = { "content-type": type };
  const form = await new Response(body as Uint8Array<ArrayBuffer>, { headers }).formData();
  // Bun's types disagree with themselves on what a form holds.
  return [...(form.values() as Iterable<Blob | string>)].filter((value) => typeof value !== "string");
}
