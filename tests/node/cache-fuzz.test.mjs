// What the cache has stored, and interrupted downloads in a folder, damaged in hundreds of ways by a generator with a fixed
// seed: the app gets the right model, nothing hangs, and nothing is rejected unheard.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ModelShrinkError, shrink } from "modelshrink";
import { createShrinkCache, folderStore } from "modelshrink/cache";
import { ranged, serveRoutes } from "../support/model-server.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";
import { numbersBelow } from "../support/random.mjs";

const rounds = 800;
const maxMilliseconds = 240_000;
let site;
/**
 * By the name of a model: its name and address, its files and those of its earlier version, and what a cache that is not
 * damaged gives and has stored.
 */
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

async function load(address, store) {
  const warnings = [];
  const onWarning = ({ code }) => warnings.push(code);
  const cache = createShrinkCache({ store, onWarning });
  const { files, hit } = await cache.cached(address);
  return { files: await bytesOf(files), hit, warnings };
}

before(async () => {
  process.on("unhandledRejection", hear);
  site = await serveRoutes();
  const one = (tensor) => ({ "one.onnx": chainModel([{ name: tensor, size: 64 }]) });
  const several = externalModel();
  const data = several["model.onnx.data"];
  const [earlier, now] = [
    { "one.onnx": one("v"), "model.onnx": { ...several, "model.onnx.data": data.toReversed() } },
    { "one.onnx": one("w"), "model.onnx": several },
  ];
  for (const [name, files] of Object.entries(now)) {
    for (const [path, body] of Object.entries(files)) site.routes[`/${path}`] = body;
    const address = `${site.base}/${name}`;
    const values = new Map();
    const { files: found } = await load(address, storeOf(values));
    assert.deepEqual(found, await bytesOf((await shrink(files)).files));
    const stored = new Map();
    for (const [key, it] of values) stored.set(key, Buffer.from(await it.arrayBuffer()));
    models[name] = { name, address, found, stored, files, earlierFiles: earlier[name] };
  }
});
after(() => {
  process.off("unhandledRejection", hear);
  site?.close();
});

/** Gives a record or note as `change` makes its content, under a digest that is right. */
function forged(note, change) {
  const content = JSON.parse(String(note.subarray(65)));
  change(content);
  const json = JSON.stringify(content);
  return Buffer.from(`${createHash("sha256").update(json).digest("hex")}\n${json}`);
}

/** Makes one of these properties, each with its owner, something else. */
function spoil(leaves, below) {
  const [owner, key] = leaves[below(leaves.length)];
  owner[key] = [null, -1, 2 ** 53, "x", {}, [], true, `${owner[key]}0`, "a\nb"][below(9)];
}

/** Makes one number or text of a record another. */
function spoilRecord(content, below) {
  const leaves = [[content, "keptAt"]];
  const walk = (value) => {
    for (const [key, it] of Object.entries(value)) {
      if (typeof it === "object" && it !== null) walk(it);
      else leaves.push([value, key]);
    }
  };
  // Names and reports have no other witness than the digest.
  walk(content.files.map(({ parts }) => parts));
  spoil(leaves, below);
}

/** Makes one fact of a download's note another. */
function spoilNote(content, below) {
  const keysOf = (owner) => Object.keys(owner).map((key) => [owner, key]);
  spoil([...keysOf(content), ...keysOf(content.validators)], below);
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
    const below = numbersBelow(16);
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
          ? forged(bytes, (content) => spoilRecord(content, below))
          : damages[kind](bytes, below, [...stored.values()]);
      const values = new Map(
        [...stored].map(([name, it]) => [name, new Blob([it])]).filter(([name]) => name !== key),
      );
      if (changed) values.set(key, new Blob([changed]));
      const { files, hit, warnings } = await load(address, storeOf(values));
      const what = `round ${round}, ${kind}, ${key}`;
      assert.deepEqual(files, found, what);
      if (hit) continue;
      damaged++;
      const isGone = changed === undefined && key.startsWith("record-");
      assert.deepEqual(warnings, isGone ? [] : ["damaged"], what);
      // It is mended: the next load is a hit.
      assert.equal((await load(address, storeOf(values))).hit, true, what);
    }
    // The others were damages that change nothing, such as zeros that were zeros.
    assert.ok(damaged > rounds * 0.8, `${damaged} of ${rounds}`);
    assert.deepEqual(unheard, []);
  },
);

const draftRounds = 400;
/** The ETags of a version that is gone, and of that which the server has. */
const [older, current] = [{ etag: '"1"' }, { etag: '"2"' }];

/** The files of a folder by name. */
async function filesOf(folder) {
  const names = await readdir(folder);
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))])),
  );
}

/** A server that breaks a model's last file after a share of it; one that does not read If-Range gives ranges always. */
function serve(files, validators, { share = undefined, readsIfRange = true } = {}) {
  const last = Object.keys(files).at(-1);
  for (const [path, bytes] of Object.entries(files)) {
    const body = Buffer.from(bytes);
    site.routes[`/${path}`] = ({ headers: { range, "if-range": condition } }) => {
      const asked = { headers: { range, ...(readsIfRange && { "if-range": condition }) } };
      const answer = ranged(body, validators)(asked);
      if (share === undefined || path !== last) return answer;
      return { ...answer, end: Math.round(share * body.length) - body.length + answer.body.length };
    };
  }
}

/** What three breaks leave of a model in a folder: notes, and parts of its last file. */
async function interrupted(name, files, validators) {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-"));
  for (const share of [0.2, 0.5, 0.8]) {
    serve(files, validators, { share });
    await assert.rejects(load(`${site.base}/${name}`, folderStore(folder)), ModelShrinkError);
  }
  const drafts = await filesOf(folder);
  await rm(folder, { recursive: true });
  return drafts;
}

/** Damages one file of an interrupted download; gives what was done, and the files that are there then. */
function damagedDrafts(drafts, all, below) {
  const kinds = [...Object.keys(damages), "forged"];
  const kind = kinds[below(kinds.length)];
  const keys = [...drafts.keys()].filter((it) => kind !== "forged" || it.startsWith("draft-"));
  const key = keys[below(keys.length)];
  const changed =
    kind === "forged"
      ? forged(drafts.get(key), (content) => spoilNote(content, below))
      : damages[kind](drafts.get(key), below, all);
  const files = new Map(drafts).set(key, changed);
  if (!changed) files.delete(key);
  return { what: `${kind}, ${key}`, files };
}

test(
  `interrupted downloads are damaged ${draftRounds} times: the right model comes each time`,
  { timeout: maxMilliseconds },
  async () => {
    const below = numbersBelow(17);
    const left = [];
    for (const { name, files, earlierFiles } of Object.values(models)) {
      for (const [version, validators] of [
        [earlierFiles, older],
        [files, current],
      ]) {
        const drafts = await interrupted(name, version, validators);
        assert.ok(drafts.size >= 4, [...drafts.keys()].join());
        left.push({ name, drafts });
      }
    }
    const all = left.flatMap(({ drafts }) => [...drafts.values()]);
    let gone = 0;
    for (let round = 0; round < draftRounds; ++round) {
      const { name, drafts } = left[below(left.length)];
      const { address, found, files } = models[name];
      const folder = await mkdtemp(join(tmpdir(), "modelshrink-"));
      try {
        const { what, files: damaged } = damagedDrafts(drafts, all, below);
        for (const [key, bytes] of damaged) await writeFile(join(folder, key), bytes);
        serve(files, current, { readsIfRange: below(2) === 1 });
        site.requests = [];
        const fresh = await load(address, folderStore(folder));
        const expected = { files: found, hit: false, warnings: [] };
        assert.deepEqual(fresh, expected, `round ${round}, ${what}`);
        gone += site.requests.some(({ headers }) => headers.range !== undefined) ? 1 : 0;
        const again = await load(address, folderStore(folder));
        assert.deepEqual(again, { ...expected, hit: true }, `round ${round}, ${what}`);
      } finally {
        await rm(folder, { recursive: true });
      }
    }
    // What is whole is gone on with.
    assert.ok(gone > draftRounds / 2 && gone < draftRounds, `${gone} of ${draftRounds}`);
    assert.deepEqual(unheard, []);
  },
);
