/** What servers have in common: whose requests they answer, the headers of their answers, and listening. */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { oneLine, UsageError } from "../../errors.ts";

/** Names of this machine that no other can have. */
const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

/** Whether only programs of this machine reach an address that is listened on. */
export const isLoopback = (hostname: string): boolean => [...LOOPBACK, "::1"].includes(hostname);

/** Whether a Host header names this machine: a page of another site that got its name to point here has its own. */
export function isOwnHost(host: string, port: number): boolean {
  return LOOPBACK.some((name) => host === `${name}:${port}` || (port === 80 && host === name));
}

/** Compares in constant time. */
export function isSameToken(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

export const HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  // An address may hold a token.
  "referrer-policy": "no-referrer",
} as const;

/**
 * Serves a page that loads nothing from elsewhere and runs only its own scripts.
 * @param page in which {{nonce}} stands for a number that the policy names
 * @param images where pictures may come from: "data:"
 */
export function servePage(page: string, images: string): Response {
  const nonce = randomBytes(16).toString("base64");
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    "style-src 'unsafe-inline'",
    `img-src ${images}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  const headers = { ...HEADERS, "content-type": "text/html; charset=utf-8", "content-security-policy": policy };
  return new Response(page.replaceAll("{{nonce}}", nonce), { headers });
}

/** What to say of an address that can't be listened on. */
export function cantListen(flags: string, error: unknown): UsageError {
  const { code, message } = error as { code?: string; message: string };
  const why =
    code === "EADDRINUSE" ? "another program uses it; name another port, or 0 for a free one" : oneLine(message);
  return new UsageError(`${flags}: can't listen there: ${why}`, { cause: error });
}
