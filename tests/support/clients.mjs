// Apps that load a model through the shrinking cache in Chromium, as one visitor sees them: a first visit, then a second
// one, for which the server has the model no more.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { launchWithProfile } from "./chromium.mjs";
import { appPage, serveRoutes } from "./model-server.mjs";

/** What the small model may have of the bytes of the fp32 one. */
const largestShare = 0.3;

const sizeOf = (files) => Object.values(files).reduce((sum, { length }) => sum + length, 0);

/** Runs in the page: the bytes of all that the cache has kept, its own notes and what is no model's included. */
async function keptInPage() {
  const cache = await caches.open("modelshrink");
  const sizes = (await cache.keys()).map(async (it) => (await (await cache.match(it)).blob()).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/**
 * A visitor of a site that has the repository's files and, by their paths, `models` and `inputs`. Visits are
 * `visit(code)`, see {@link describeClient}.
 */
async function newVisitor({ imports, models, inputs = {}, prepare = "", made, answer, given }) {
  const site = await serveRoutes({ files: true });
  const profile = await mkdtemp(join(tmpdir(), "modelshrink-"));
  const context = await launchWithProfile(profile);
  site.routes["/"] = appPage(imports);
  Object.assign(site.routes, inputs, models);
  return {
    /** Runs an app in a new page; gives what it answers, the bytes in the cache and which models it asked the server for. */
    async visit(code) {
      const tab = await context.newPage();
      const failure = new Promise((_, reject) => tab.on("pageerror", reject));
      failure.catch(() => undefined);
      await tab.goto(site.base);
      site.requests = [];
      const content = `${prepare}\n${code}\nglobalThis.made = ${made};`;
      await Promise.race([tab.addScriptTag({ type: "module", content }), failure]);
      await Promise.race([
        tab.waitForFunction("globalThis.made", null, { timeout: 240_000 }),
        failure,
      ]);
      const found = await tab.evaluate(answer, given);
      const kept = await tab.evaluate(keptInPage);
      await tab.close();
      const paths = site.requests.map(({ line }) => line.split(" ")[1]);
      return { answer: found, kept, asked: paths.filter((path) => !inputs[path]) };
    },
    /** From now on the server has no models. */
    removeModels() {
      for (const path of Object.keys(models)) delete site.routes[path];
    },
    async close() {
      await context.close();
      site.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/**
 * Tests of an app. `code` is its module, which makes `made`; `plain` the same without the cache. `models` are the files of
 * the fp32 model by their paths, `weights` the paths of those that are shrunk, and `inputs` what the page needs besides.
 * `prepare` is code that comes before it; `answer(given)` runs in it when `globalThis.made` is there, and gives
 * { says, numbers }: the list of what the model says (classes, texts or neighbours), and some of the numbers that it says
 * that by. `truth` is what it should say, where the fp32 model is not always right.
 */
export function describeClient(name, { code, plain, weights, truth, ...client }) {
  describe(name, () => {
    let visitor;
    let original;
    let first;
    let second;
    before(async () => {
      visitor = await newVisitor(client);
      original = await visitor.visit(plain);
      first = await visitor.visit(code);
      visitor.removeModels();
      second = await visitor.visit(code);
    });
    after(() => visitor?.close());

    test("the first visit downloads the model once", () => {
      const asked = first.asked.filter((path) => weights.includes(path));
      assert.deepEqual(asked.sort(), [...weights].sort());
    });
    test("the first visit loads the small model already", () => {
      assert.notDeepEqual(first.answer.numbers, original.answer.numbers);
      assert.deepEqual(first.answer.numbers, second.answer.numbers);
    });
    test("the second visit makes no network request for the model", () => {
      assert.deepEqual(second.asked, []);
    });
    test("what is kept has less than 30 % of the fp32 model's bytes", () => {
      const fp32 = sizeOf(weights.map((path) => client.models[path]));
      const share = second.kept / fp32;
      assert.ok(second.kept > 0 && share < largestShare, `${second.kept} of ${fp32}: ${share}`);
    });
    test("the small model says what the fp32 model says rightly, on both visits", () => {
      const { says } = original.answer;
      const rightly = (found) =>
        found.answer.says.filter((_, i) => truth === undefined || says[i] === truth[i]);
      assert.ok(rightly(original).length > says.length / 2, "it is right too seldom");
      assert.deepEqual(rightly(first), rightly(original));
      assert.deepEqual(rightly(second), rightly(original));
    });
  });
}
