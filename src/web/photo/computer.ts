/** The worker as functions: each request resolves to its answer. */
import type { Answer, ClassMap, Reply, Request } from "./messages.ts";

/** An image that can't be used; the message is a sentence for people, without its name. */
export class Refused extends Error {}

interface Heard {
  opened(device: string, hasMaps: boolean, seen: number): void;
  moved(device: string): void;
  /** Nothing will be answered any more. */
  failed(message: string): void;
}

interface Waiting {
  resolve(value: Answer | ClassMap): void;
  reject(error: Refused): void;
}

export class Computer {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  constructor(worker: Worker, heard: Heard) {
    this.#worker = worker;
    worker.onerror = (event) => heard.failed(`This page has failed: ${event.message}`);
    worker.onmessage = ({ data: reply }: MessageEvent<Reply>) => {
      if (reply.type === "opened") heard.opened(reply.device, reply.hasMaps, reply.seen);
      else if (reply.type === "moved") heard.moved(reply.device);
      else if (reply.type === "failed") heard.failed(reply.message);
      else {
        const waiting = this.#waiting.get(reply.id);
        this.#waiting.delete(reply.id);
        if (reply.type === "refused") waiting?.reject(new Refused(reply.message));
        else waiting?.resolve(reply.type === "answer" ? reply.answer : reply.map);
      }
    };
  }

  open(request: Omit<Extract<Request, { type: "open" }>, "type">): void {
    this.#send({ type: "open", ...request });
  }

  /** @param image a bitmap is given away @throws Refused */
  classify(image: Blob | ImageBitmap, map: boolean): Promise<Answer> {
    const id = this.#asked++;
    const given = image instanceof Blob ? [] : [image];
    return this.#ask(id, { type: "classify", id, image, map }, given) as Promise<Answer>;
  }

  map(record: Uint8Array, label: number): Promise<ClassMap> {
    const id = this.#asked++;
    return this.#ask(id, { type: "map", id, record, label }) as Promise<ClassMap>;
  }

  #ask(id: number, request: Request, given: Transferable[] = []): Promise<Answer | ClassMap> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send(request, given);
    });
  }

  #send(request: Request, given: Transferable[] = []): void {
    this.#worker.postMessage(request, given);
  }
}
