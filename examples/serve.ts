/** Classifies the images that are posted to it. `bun examples/serve.ts [RUN]`; by default the newest run answers. */
import { load } from "alexnet";

const model = await load(process.argv[2]); // a run, a weights file, or "imagenet"
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 2012,
  fetch: async (request) => Response.json(await model.classify(await request.bytes())),
  error: ({ message }) => Response.json({ error: message }, { status: 400 }),
});
console.log(`curl --data-binary @photo.jpg ${server.url}`);
