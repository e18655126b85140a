// What the cache has stored, damaged in hundreds of ways by a generator with a fixed seed: the app gets the right model,
// nothing hangs, and nothing is rejected unheard.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { shrink } from "modelshrink";
import { createShrinkCache } from "modelshrink/cache";
import { serveRoutes } from "../support/model-server.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";

const rounds = 800;
const maxMilliseconds = 240_000;
let site;
/** By the name of a model: its address, and what a cache that is not damaged gives and has stored. */
const models = {};
const unheard = [];
const hear = (reason) => unheard.push(reason);

const bytesOf = async (files) =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(files).map(async ([name, it]) => [name, Buffer.from(await it.arrayBuffer())]),
    ),
  );

const storeOf = (values) => ({
  get: async (key) => values.get(key),
  set: async (key, value) => void values.set(key, value),
  delete: async (key) => void values.delete(key),
  keys: async () => values.keys(),
});

async function load(address, values) {
  const warnings = [];
  const onWarning = ({ code }) => warnings.push(code);
  const cache = createShrinkCache({ store: storeOf(values), onWarning });
  const { files, hit } = await cache.cached(address);
  return { files: await bytesOf(files), hit, warnings };
}

before(async () => {
  process.on("unhandledRejection", hear);
  site = await serveRoutes();
  const one = { "one.onnx": chainModel([{ name: "w", size: 64 }]) };
  for (const [name, files] of Object.entries({ "one.onnx": one, "model.onnx": externalModel() })) {
    for (const [path, body] of Object.entries(files)) site.routes[`/${path}`] = body;
    const address = `${site.base}/${name}`;
    const values = new Map();
    const { files: found } = await load(address, values);
    assert.deepEqual(found, await bytesOf((await shrink(files)).files));
    const stored = new Map();
    for (const [key, it] of values) stored.set(key, Buffer.from(await it.arrayBuffer()));
    models[name] = { address, found, stored };
  }
});
after(() => {
  process.off("unhandledRejection", hear);
  site?.close();
});

/** Numbers from 0 to below `count`, always the same ones. */
function generator(seed) {
  let state = seed;
  return (count) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

/** Gives a record in which one number or text is another, under a digest that is right. */
function forged(record, below) {
  const content = JSON.parse(String(record.subarray(65)));
  const leaves = [[content, "keptAt"]];
  const walk = (value) => {
    for (const [key, it] of Object.entries(value)) {
      if (typeof it === "object" && it !== null) walk(it);
      else leaves.push([value, key]);
    }
  };
  // Names and reports have no other witness than the digest.
  walk(content.files.map(({ parts }) => parts));
  const [owner, key] = leaves[below(leaves.length)];
  owner[key] = [null, -1, 2 ** 53, "x", {}, [], true, `${owner[key]}0`][below(8)];
  const json = JSON.stringify(content);
  return Buffer.from(`${createHash("sha256").update(json).digest("hex")}\n${json}`);
}

/** What may have befallen a stored value; undefined: it is gone. */
const damages = {
  "a bit": (bytes, below) => {
    const copy = Buffer.from(bytes);
    copy[below(copy.length)] ^= 1 << below(8);
    return copy;
  },
  "cut off": (bytes, below) => bytes.subarray(0, below(bytes.length)),
  longer: (bytes, below) => Buffer.concat([bytes, Buffer.alloc(1 + below(100), below(256))]),
  zeros: (bytes, below) => Buffer.from(bytes).fill(0, below(bytes.length)),
  "another's": (bytes, below, all) => all[below(all.length)],
  noise: (bytes, below) => Buffer.from(bytes).map(() => below(256)),
  gone: () => undefined,
};

test(
  `what is stored is damaged ${rounds} times: the right model comes each time`,
  {
    timeout: maxMilliseconds,
  },
  async () => {
    const below = generator(16);
    let damaged = 0;
    for (let round = 0; round < rounds; ++round) {
      const { address, found, stored } = Object.values(models)[below(2)];
      const keys = [...stored.keys()];
      const key = keys[below(keys.length)];
      const bytes = stored.get(key);
      const kinds = [...Object.keys(damages), ...(key.startsWith("record-") ? ["forged"] : [])];
      const kind = kinds[below(kinds.length)];
      const changed =
        kind === "forged"
          ? forged(bytes, below)
          : damages[kind](bytes, below, [...stored.values()]);
      const values = new Map(
        [...stored].map(([name, it]) => [name, new Blob([it])]).filter(([name]) => name !== key),
      );
      if (changed) values.set(key, new Blob([changed]));
      const { files, hit, warnings } = await load(address, values);
      const what = `round ${round}, ${kind}, ${key}`;
      assert.deepEqual(files, found, what);
      if (hit) continue;
      damaged++;
      const isGone = changed === undefined && key.startsWith("record-");
      assert.deepEqual(warnings, isGone ? [] : ["damaged"], what);
      // It is mended: the next load is a hit.
      assert.equal((await load(address, values)).hit, true, what);
    }
    // The others were damages that change nothing, such as zeros that were zeros.
    assert.ok(damaged > rounds * 0.8, `${damaged} of ${rounds}`);
    assert.deepEqual(unheard, []);
  },
);
