/** The server's interface as an OpenAPI 3.1 document. */
import { VIEW_COUNTS } from "../../data/augmentation.ts";

const json = (schema: object) => ({ "application/json": { schema } });
const ERROR = { $ref: "#/components/schemas/Error" };
const refused = (description: string) => ({ description, content: json(ERROR) });
const BYTES = { type: "string", format: "binary" };

/** What any request may be answered with. */
const ANY = {
  "401": refused("The token is missing or wrong"),
  "403": refused("The request comes from a page of another site"),
} as const;

const parameter = (name: string, description: string, schema: object) => ({
  ...{ name, in: "query", required: false, description, schema },
});

/**
 * @param needsToken whether requests must bring a token
 */
export function openApi(needsToken: boolean): object {
  const secured = needsToken ? { security: [{ token: [] }] } : {};
  return {
    openapi: "3.1.0",
    info: { title: "alexnet serve", version: "1", description: "Classifies images." },
    servers: [{ url: "/" }],
    paths: {
      "/classify": {
        post: {
          ...{ operationId: "classify", summary: "The most probable classes of an image", ...secured },
          parameters: [
            parameter("top", "Number of classes to name", { type: "integer", minimum: 1, default: 5 }),
            parameter("views", "Crops of the image whose probabilities are averaged", {
              ...{ type: "integer", enum: VIEW_COUNTS, default: 1 },
            }),
            parameter("at-least", "Say unsure where the most probable class has less than this probability", {
              ...{ type: "number", exclusiveMinimum: 0, maximum: 1 },
            }),
          ],
          requestBody: {
            required: true,
            content: {
              ...Object.fromEntries(["image/jpeg", "image/png", "image/webp"].map((type) => [type, {}])),
              "multipart/form-data": {
                schema: { type: "object", properties: { image: BYTES }, required: ["image"] },
              },
            },
          },
          responses: {
            "200": {
              description: "The classes",
              content: json({ $ref: "#/components/schemas/Classification" }),
            },
            "400": refused("A damaged image, no image, a form with several, or a wrong parameter"),
            ...ANY,
            "408": refused("The image took too long to arrive"),
            "413": refused("The body is too large"),
            "415": refused("Not a JPEG, PNG or WebP image"),
            "500": refused("The device failed"),
            "503": {
              ...refused("Too many requests are under way, or the server is stopping"),
              headers: { "Retry-After": { description: "Seconds to wait", schema: { type: "integer" } } },
            },
            "504": refused("The image took too long to classify"),
          },
        },
      },
      "/health": {
        get: {
          ...{ operationId: "health", summary: "Whether images are classified" },
          responses: {
            "200": { description: "They are", content: json({ $ref: "#/components/schemas/Health" }) },
            "403": ANY["403"],
            "503": {
              description: "The device has failed, or the server is stopping",
              content: json({ $ref: "#/components/schemas/Health" }),
            },
          },
        },
      },
      "/metrics": {
        get: {
          ...{ operationId: "metrics", summary: "Counters, in Prometheus' text format", ...secured },
          responses: {
            "200": { description: "The counters", content: { "text/plain": { schema: { type: "string" } } } },
            ...ANY,
          },
        },
      },
    },
    components: {
      ...(needsToken && { securitySchemes: { token: { type: "http", scheme: "bearer" } } }),
      schemas: {
        Classification: {
          type: "object",
          required: ["classes", "milliseconds"],
          properties: {
            classes: {
              description: "The most probable classes in order",
              type: "array",
              items: {
                type: "object",
                required: ["name", "probability"],
                properties: { name: { type: "string" }, probability: { type: "number", minimum: 0, maximum: 1 } },
              },
            },
            unsure: { description: "The first class has less than `at-least`", const: true },
            unlike: { description: "The image is unlike anything that the network was trained on", const: true },
            distance: { description: "From the nearest of what it was trained on, if known", type: "number" },
            milliseconds: { description: "From the request's arrival to this answer", type: "number" },
          },
        },
        Health: {
          type: "object",
          required: ["status"],
          properties: { status: { enum: ["ok", "failed", "stopping"] } },
        },
        Error: { type: "object", required: ["error"], properties: { error: { type: "string" } } },
      },
    },
  };
}
