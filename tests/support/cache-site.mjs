// What tests of the cache on Node.js begin with: a server, and for each test a folder for the store and what was warned of.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach } from "node:test";
import { serveRoutes } from "./model-server.mjs";

/** The server, whose routes and requests are emptied before each test. */
export const site = await serveRoutes();
/** A test's own folder. */
export let folder;
/** The codes of a test's warnings, which {@link onWarning} collects. */
export let warnings;
export const onWarning = ({ code }) => warnings.push(code);

export const bytesOf = async (body) => new Uint8Array(await body.arrayBuffer());

/** A promise, with what resolves it. */
export function later() {
  let resolve;
  const promise = new Promise((open) => (resolve = open));
  return { promise, resolve };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-"));
  site.routes = {};
  site.requests = [];
  warnings = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));
after(() => site.close());
