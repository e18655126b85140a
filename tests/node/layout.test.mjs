// shrink with a layout: repositories in, folders that transformers.js loads out. tests/hosts/layout.test.mjs loads them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { ArgumentError, FormatError, plan, shrink, UnsupportedError } from "modelshrink";
import ort from "onnxruntime-node";
import { chainModel, externalModel } from "../support/onnx.mjs";
import { externalSentenceModel, sentenceModel } from "../support/sentence-model.mjs";
import { seq2seqModel } from "../support/seq2seq-model.mjs";
import { commandFolder, finish } from "./cli.mjs";

const suffixes = ["_fp16", "_quantized", "_int8", "_uint8", "_q4"];
const transformers = { layout: "transformers" };
const text = (content) => Buffer.from(content);
const json = (content) => text(JSON.stringify(content));
const small = sentenceModel();

let top;
before(async () => {
  top = await mkdtemp(join(tmpdir(), "modelshrink-layout-"));
});
after(() => rm(top, { recursive: true }));
beforeEach(async () => {
  for (const name of await readdir(top)) await rm(join(top, name), { recursive: true });
});

/** Writes files by their paths; gives the folder. */
async function save(files, folder = join(top, "repository")) {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** All files below a folder, by their paths. */
async function contents(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const files = await Promise.all(paths.sort().map(async (path) => [path, await readFile(path)]));
  return Object.fromEntries(files.map(([path, bytes]) => [path.slice(folder.length + 1), bytes]));
}

test("a model whose data file is missing is refused, and nothing is written", async () => {
  const { "model.onnx": main } = externalModel("weights.bin");
  const repository = { "config.json": Buffer.from("{}"), "onnx/model.onnx": main };
  const options = { layout: "transformers", dtypes: ["int8"] };
  const written = [];
  const sink = (name) => written.push(name);
  for (const run of [
    () => shrink(repository, {}, { ...options, sink }),
    () => plan(repository, {}, options),
  ]) {
    await assert.rejects(run(), {
      code: "unsupported",
      message: /"w" cannot be read: its values are in "weights\.bin", which is not there/,
    });
  }
  assert.deepEqual(written, [], "it is found before the first sink is asked for");
});

test("plan tells what shrink writes, file for file, and reads no weight", async () => {
  const options = { layout: "transformers", dtypes: ["q8", "fp16"] };
  const repository = externalSentenceModel();
  const planned = await plan(repository, { minElements: 64 }, options);
  const { report } = await shrink(repository, { minElements: 64 }, options);
  const withoutFates = ({ models, ...rest }) => ({
    ...rest,
    models: models.map(({ input, dtype, files }) => ({ input, dtype, files })),
  });
  assert.deepEqual(withoutFates(planned), withoutFates(report));
  assert.ok(planned.models.every(({ plan: { tensors } }) => tensors.length > 0));
  await assert.rejects(plan(repository, {}, { ...options, sink: "out" }), ArgumentError);
});

test("every .onnx file of a repository is written in every dtype, and what lies beside is copied", async () => {
  const extra = {
    "vocab.txt": text("a"),
    LICENSE: text("free"),
    "weights.bin": text("no"),
    ".git/x.onnx": text("no"),
  };
  const files = { ...seq2seqModel(), ...extra };
  const out = join(top, "deep/out");
  const { report } = await shrink(await save(files), undefined, { ...transformers, sink: out });
  const copied = Object.keys(files).filter((name) => !/onnx|weights/.test(name));
  const stems = ["decoder_model", "decoder_model_merged", "encoder_model"];
  const models = stems.flatMap((stem) => suffixes.map((it) => `onnx/${stem}${it}.onnx`));
  const found = await contents(out);
  assert.deepEqual(Object.keys(found), [...copied, ...models].sort());
  for (const name of copied) assert.deepEqual(found[name], files[name]);
  for (const name of models) await (await ort.InferenceSession.create(join(out, name))).release();
  assert.deepEqual(
    report.models.flatMap((it) => it.files.map(({ name }) => name)).sort(),
    models.sort(),
  );
  const sizes = models.map((name) => found[name].length);
  assert.equal(
    report.outputBytes,
    sizes.reduce((a, b) => a + b),
  );
  assert.deepEqual(report.copied.toSorted(), copied.sort());
  assert.equal(report.copied.at(-1), "config.json");
  assert.deepEqual(await readdir(join(top, "deep")), ["out"]);
});

test("memory, sinks and folders get the same bytes from a folder and from a record of sources", async () => {
  const folder = await save(small);
  const out = join(top, "out");
  await shrink(folder, undefined, { ...transformers, sink: out });
  const expected = await contents(out);
  const { files } = await shrink(folder, undefined, transformers);
  const memory = await Promise.all(
    Object.entries(files).map(async ([name, it]) => [name, Buffer.from(await it.arrayBuffer())]),
  );
  assert.deepEqual(Object.fromEntries(memory.sort()), expected);
  const sunk = {};
  const order = [];
  const sink = (name, size) => {
    sunk[name] = Buffer.alloc(size);
    order.push(name);
    const write = (offset, bytes) => void sunk[name].set(bytes, offset);
    return { open() {}, write, close() {}, abort() {} };
  };
  await shrink(small, undefined, { ...transformers, sink });
  assert.deepEqual(sunk, { ...expected });
  assert.equal(order.at(-1), "config.json");
});

test("dtypes choose; rules and other words of a recipe hold for all", async () => {
  const words = { rules: [{ match: "words", keep: true }], minElements: 1 };
  const { files, report } = await shrink(small, words, { ...transformers, dtypes: ["q4", "fp16"] });
  const models = Object.keys(files).filter((name) => name.endsWith(".onnx"));
  assert.deepEqual(models, ["onnx/model_q4.onnx", "onnx/model_fp16.onnx"]);
  for (const { report: own } of report.models) {
    const { words: embedding, w1 } = Object.fromEntries(own.tensors.map((it) => [it.name, it.to]));
    assert.equal(embedding, "float32");
    assert.notEqual(w1, "float32");
  }
});

test("models that are there in a number type already are no sources; one at the top goes to onnx/", async () => {
  const { "onnx/model.onnx": model, ...beside } = small;
  const files = { ...beside, "model.onnx": model, "model_q4.onnx": text("not read") };
  const { report, files: written } = await shrink(files, undefined, {
    ...transformers,
    dtypes: ["q4"],
  });
  assert.deepEqual(report.leftOut, ["model_q4.onnx"]);
  assert.ok(Object.hasOwn(written, "onnx/model_q4.onnx"));
});

test("external data has the names that transformers.js looks for, and config.json tells of it", async () => {
  const { "model.onnx": main, "weights.bin": data } = externalModel("weights.bin");
  const config = {
    model_type: "bert",
    "transformers.js_config": {
      use_external_data_format: { model: 2 },
      kv_cache_dtype: { fp16: "float16" },
      dtype: "q4f16",
      device_config: { webgpu: { use_external_data_format: true, dtype: { model: "q8" } } },
    },
  };
  const repository = {
    "config.json": json(config),
    ...{ "onnx/large.onnx": main, "onnx/weights.bin": data },
    "onnx/small.onnx": small["onnx/model.onnx"],
  };
  const out = join(top, "out");
  await shrink(await save(repository), undefined, {
    ...transformers,
    sink: out,
    dtypes: ["fp16", "int8"],
  });
  assert.deepEqual(Object.keys(await contents(out)), [
    "config.json",
    ...["large_fp16.onnx", "large_fp16.onnx_data", "large_int8.onnx", "large_int8.onnx_data"].map(
      (it) => `onnx/${it}`,
    ),
    ...["onnx/small_fp16.onnx", "onnx/small_int8.onnx"],
  ]);
  assert.deepEqual(JSON.parse(await readFile(join(out, "config.json"), "utf8")), {
    model_type: "bert",
    "transformers.js_config": {
      device_config: { webgpu: {} },
      use_external_data_format: { "large_fp16.onnx": 1, "large_int8.onnx": 1 },
    },
  });
  await (await ort.InferenceSession.create(join(out, "onnx/large_int8.onnx"))).release();
});

test("models of one name, one with its data inside and one not, are refused: config.json cannot say which", async () => {
  const external = externalSentenceModel();
  const [model, data] = [external["onnx/model.onnx"], external["onnx/weights.bin"]];
  const sink = () => assert.fail("a file was begun");
  const message = (outside, inside) =>
    new RegExp(`"${outside}" has data in another file, and "${inside}" has not`);
  await refused(
    { ...small, "other/model.onnx": model, "other/weights.bin": data },
    UnsupportedError,
    message("other/model.onnx", "onnx/model.onnx"),
    { sink },
  );
  await refused(
    { ...external, "other/model.onnx": small["onnx/model.onnx"] },
    UnsupportedError,
    message("onnx/model.onnx", "other/model.onnx"),
    { sink },
  );
  const { files } = await shrink(
    { ...external, "other/model.onnx": model, "other/weights.bin": data },
    undefined,
    { ...transformers, dtypes: ["fp16"] },
  );
  assert.deepEqual(JSON.parse(await files["config.json"].text())["transformers.js_config"], {
    use_external_data_format: { "model_fp16.onnx": 1 },
  });
});

/** Expects that a repository is refused, and that nothing is left. */
async function refused(source, error, message, options = {}) {
  const before = await readdir(top);
  const run = shrink(source, undefined, { ...transformers, sink: join(top, "out"), ...options });
  await assert.rejects(run, (it) => {
    assert.ok(it instanceof error, `${it}`);
    assert.match(it.message, message);
    return true;
  });
  assert.deepEqual(await readdir(top), before);
}

test("no link out of the repository is followed, and nothing but regular files is opened", async () => {
  await save(
    { secret: text("secret"), "model.onnx": small["onnx/model.onnx"] },
    join(top, "elsewhere"),
  );
  for (const [name, target] of [
    ["vocab.txt", "elsewhere/secret"],
    ["onnx/model.onnx", "elsewhere/model.onnx"],
  ]) {
    const folder = await save(small, join(top, name.replace("/", "-")));
    await rm(join(folder, name), { force: true });
    await symlink(join(top, target), join(folder, name));
    await refused(folder, ArgumentError, /outside the model's folder/);
  }
  const linked = await save({ "config.json": json({}) }, join(top, "linked"));
  await symlink(join(top, "elsewhere"), join(linked, "onnx"));
  await refused(linked, ArgumentError, /has no \.onnx file/);
  const piped = await save(small, join(top, "piped"));
  execFileSync("mkfifo", [join(piped, "merges.txt")]);
  await refused(piped, ArgumentError, /not a regular file/);
});

test("names that lead out of a repository, meet or are too many are refused", async () => {
  const model = small["onnx/model.onnx"];
  const many = (count, name) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), model]));
  for (const name of [
    "../model.onnx",
    "onnx/../../x.onnx",
    "/x.onnx",
    "onnx\\x.onnx",
    "C:x.onnx",
    "a//b.onnx",
    "a\n.onnx",
    "a\u0085.onnx",
    "a\u202e.onnx",
    "a\u2066/b.onnx",
    "\ud800.onnx",
    "a\udc00/b.onnx",
    "\udc00\ud800.txt",
    "a./b.onnx",
    "a /b.onnx",
    "onnx/con.onnx",
    "AUX/b.onnx",
    "nul.extra.txt",
    "Com1 .txt",
    "lpt²/b.onnx",
    `${"x".repeat(1 << 20)}.onnx`,
  ]) {
    await refused({ ...small, [name]: model }, FormatError, /^.{1,1100}no path in it/);
  }
  for (const name of ["console.onnx", "onnx/\u{1f600} é.onnx", "a.b/com10.onnx"]) {
    const { report } = await shrink({ ...small, [name]: model }, undefined, {
      ...transformers,
      dtypes: ["fp16"],
    });
    assert.equal(report.models.length, 2, name);
  }
  await refused(
    { ...small, "onnx/Model.onnx": model },
    ArgumentError,
    /one file on some file systems/,
  );
  const sink = () => assert.fail("a file was begun");
  for (const name of [
    "config.json/model.onnx",
    "Config.JSON/deep/model.onnx",
    "onnx/model_FP16.onnx/a.onnx",
    "tokenizer.json/onnx/a.onnx",
  ]) {
    const files = { ...small, [name]: model };
    for (const options of [{}, { sink }, { sink: undefined }]) {
      await refused(files, ArgumentError, /would be a file, and the folder of/, options);
    }
  }
  await refused({ ...small, "model.onnx": model }, ArgumentError, /Two files would be written to/);
  await refused(
    { ...small, ...many(101, (i) => `onnx/m${i}.onnx`) },
    UnsupportedError,
    /102 models/,
  );
  await refused({ ...small, ...many(1001, (i) => `m${i}.txt`) }, UnsupportedError, /files to copy/);
  await refused({ "config.json": json({}) }, ArgumentError, /no \.onnx file/);
  await refused(
    { "config.json": json({}), "onnx/model_q4.onnx": model },
    ArgumentError,
    /"onnx\/model\.onnx" is needed/,
  );
  await refused({ "model.onnx": model }, ArgumentError, /no config\.json/);
  await refused({ ...small, "config.json": text("[]") }, FormatError, /no JSON object/);
  const folder = await save({});
  await mkdir(folder);
  await Promise.all(Array.from({ length: 10_001 }, (_, i) => writeFile(join(folder, `${i}`), "")));
  await refused(folder, UnsupportedError, /more than 10000 files/);
});

test("a config.json that cannot be written is refused before anything is", async () => {
  const nested = (depth) => "[".repeat(depth) + "]".repeat(depth);
  const sink = () => assert.fail("a file was begun");
  for (const depth of [1e4, 1e6]) {
    for (const config of [
      `{"a":${nested(depth)}}`,
      `{"transformers.js_config":{"a":${nested(depth)}}}`,
    ]) {
      const files = { ...small, "config.json": text(config) };
      await refused(files, FormatError, /config\.json is too deep/, { sink });
    }
  }
  for (const config of ["[]", "null", "{"]) {
    const files = { ...small, "config.json": text(config) };
    await refused(files, FormatError, /config\.json is no JSON object/, { sink });
  }
});

test("an output is new: neither in the repository, nor a folder with files, nor a file", async () => {
  const folder = await save(small);
  const full = await save({ "mine.txt": text("mine") }, join(top, "full"));
  await refused(folder, ArgumentError, /lies in/, { sink: join(folder, "onnx/out") });
  await refused(folder, ArgumentError, /lies in/, { sink: folder });
  await refused(folder, ArgumentError, /not empty/, { sink: full });
  await refused(folder, ArgumentError, /no folder/, { sink: join(full, "mine.txt") });
  await symlink(full, join(top, "link"));
  await refused(folder, ArgumentError, /no folder/, { sink: join(top, "link") });
  await symlink(full, join(top, ".out.part"));
  await assert.rejects(
    shrink(folder, undefined, { ...transformers, sink: join(top, "out") }),
    /\.out\.part" is in the way/,
  );
  await mkdir(join(top, "empty"));
  await shrink(folder, undefined, { ...transformers, sink: join(top, "empty"), dtypes: ["q8"] });
  assert.ok((await readdir(join(top, "empty"))).includes("config.json"));
});

test("an aborted or failed run leaves nothing", async () => {
  const folder = await save(small);
  for (let last = 1; last <= 4; last++) {
    const controller = new AbortController();
    let count = 0;
    const onProgress = ({ done, total }) => {
      assert.ok(done <= total);
      if (++count === last) controller.abort(new Error("enough"));
    };
    await refused(folder, Error, /enough/, { signal: controller.signal, onProgress });
  }
  await writeFile(join(folder, "onnx/zz.onnx"), "no model");
  await refused(folder, FormatError, /ONNX/);
});

test("wrong options are errors", async () => {
  for (const [recipe, options, message] of [
    [undefined, { layout: "other" }, /layout is "other"/],
    [undefined, { dtypes: ["q5"] }, /dtypes is "q5"/],
    [undefined, { dtypes: [] }, /dtypes is \[\]/],
    [undefined, { resume: true }, /resume needs a path/],
    [undefined, { guard: { ort } }, /guard needs minCosine or maxDrop/],
    [undefined, { skipIdle: true }, /unknown key "skipIdle"/],
    [{ weights: "int8" }, {}, /decide "weights"/],
    [{ wieghts: "int8" }, {}, /unknown key "wieghts"/],
    ["int8", {}, /must be an object/],
    [undefined, { sink: 5 }, /sink is 5/],
  ]) {
    await assert.rejects(shrink(small, recipe, { ...transformers, ...options }), message);
  }
  await assert.rejects(
    shrink(new Uint8Array(5), undefined, transformers),
    /a repository is a folder's path/,
  );
});

const commit = "0123456789abcdef0123456789abcdef01234567";
const listing = (names) =>
  json({ sha: commit, siblings: names.map((rfilename) => ({ rfilename })) });

/** A hub with one repository, "me/tiny", while `work` runs. */
async function withHub(list, work, files = small) {
  const requests = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url);
    requests.push(path);
    const prefix = `/me/tiny/resolve/${commit}/`;
    const isList = /^\/api\/models\/me\/tiny\/revision\/(main|v1)$/.test(path);
    if (path.startsWith(prefix)) {
      response
        .writeHead(302, { location: `/cdn/${encodeURIComponent(path.slice(prefix.length))}` })
        .end();
      return;
    }
    const body = isList
      ? list
      : path.startsWith("/cdn/")
        ? files[path.slice("/cdn/".length)]
        : undefined;
    response.writeHead(body ? 200 : 404, { "content-length": body?.length ?? 0 }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work(`http://127.0.0.1:${server.address().port}/me/tiny`, requests);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("a repository on a hub is read at one commit, by its list of files", async () => {
  const names = Object.keys(small);
  await withHub(
    listing([...names, "onnx/model_q4.onnx", "pytorch_model.bin"]),
    async (url, requests) => {
      const expected = await shrink(small, undefined, transformers);
      for (const address of [url, new URL(`${url}/tree/v1`)]) {
        const { files } = await shrink(address, undefined, transformers);
        assert.deepEqual(Object.keys(files), Object.keys(expected.files));
        for (const [name, blob] of Object.entries(files)) {
          assert.deepEqual(await blob.arrayBuffer(), await expected.files[name].arrayBuffer());
        }
      }
      assert.ok(!requests.some((path) => /q4|pytorch/.test(path)));
    },
  );
});

test("a model of a hub is downloaded once when the output is a path", async () => {
  const files = externalSentenceModel();
  const out = join(top, "out");
  await withHub(
    listing(Object.keys(files).filter((it) => !it.endsWith(".bin"))),
    async (url, requests) => {
      const progress = [];
      const onProgress = ({ phase, done }) => phase === "read" && progress.push(done);
      await shrink(url, undefined, { ...transformers, sink: out, onProgress });
      const names = Object.keys(files).filter((name) => name.startsWith("onnx/"));
      for (const name of names)
        assert.equal(requests.filter((it) => it === `/cdn/${name}`).length, 1, name);
      const sizes = names.map((name) => files[name].length);
      assert.equal(
        progress.at(-1),
        sizes.reduce((a, b) => a + b),
      );
      assert.deepEqual(
        progress,
        progress.toSorted((a, b) => a - b),
      );
    },
    files,
  );
  const { files: expected } = await shrink(files, undefined, transformers);
  const found = await contents(out);
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
  for (const [name, blob] of Object.entries(expected)) {
    assert.deepEqual(found[name], Buffer.from(await blob.arrayBuffer()), name);
  }
});

test("a hub's answers are not trusted", async () => {
  const names = Object.keys(small);
  for (const [list, error, message] of [
    [text("<html>"), FormatError, /no JSON/],
    [json(null), FormatError, /no list/],
    [json({ sha: "../../x", siblings: [] }), FormatError, /no list/],
    [json({ sha: commit, siblings: [null] }), FormatError, /without a name/],
    [listing([...names, "../../etc/x.onnx"]), FormatError, /no path in it/],
    [listing([...names, "a..%2f..\\x.onnx"]), FormatError, /no path in it/],
    [listing([...names, "\ud800.onnx"]), FormatError, /no path in it/],
    [
      listing(Array.from({ length: 10_001 }, (_, i) => `${i}`)),
      UnsupportedError,
      /more than 10000/,
    ],
    [Buffer.alloc((1 << 24) + 1, " "), UnsupportedError, /a list of files may have/],
    [listing([...names, "gone.txt"]), Error, /404/],
  ]) {
    await withHub(list, (url) => refused(url, error, message));
  }
  await refused("http://127.0.0.1:1/model.onnx", ArgumentError, /no repository's address/);
});

/** A server of a hub's files, which redirects lead to; it remembers the headers of requests. */
async function withFileServer(files, hasRanges, work) {
  const headers = [];
  const server = createServer((request, response) => {
    headers.push(request.headers);
    const body = files[decodeURIComponent(request.url).slice(1)];
    const [, begin, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (!hasRanges || !body || begin === undefined) {
      response.writeHead(body ? 200 : 404, { "content-length": body?.length ?? 0 }).end(body);
      return;
    }
    const part = body.subarray(Number(begin), Number(last) + 1);
    const range = `bytes ${begin}-${Number(begin) + part.length - 1}/${body.length}`;
    response.writeHead(206, { "content-length": part.length, "content-range": range }).end(part);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work(`http://127.0.0.1:${server.address().port}`, headers);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A hub with a private repository, whose files are at another host. */
const withPrivateHub = (authorization, work, files = small, hasRanges = false) =>
  withFileServer(files, hasRanges, async (elsewhere, headersElsewhere) => {
    const seen = [];
    const hub = createServer(({ url, headers }, response) => {
      seen.push(headers.authorization);
      const prefix = `/me/tiny/resolve/${commit}/`;
      if (headers.authorization !== authorization) response.writeHead(401).end();
      else if (url.startsWith(prefix)) {
        response.writeHead(302, { location: `${elsewhere}/${url.slice(prefix.length)}` }).end();
      } else response.end(listing(Object.keys(files)));
    });
    await new Promise((resolve) => hub.listen(0, "127.0.0.1", resolve));
    try {
      await work(`http://127.0.0.1:${hub.address().port}/me/tiny`, headersElsewhere);
      assert.deepEqual(new Set(seen), new Set([authorization]));
      assert.ok(headersElsewhere.length > 0);
      for (const headers of headersElsewhere) {
        const names = Object.keys(headers).filter((it) => /authorization|cookie/.test(it));
        assert.deepEqual(names, [], "the token stays with the hub");
      }
    } finally {
      hub.closeAllConnections();
      hub.close();
    }
  });

test("a token for a private repository goes to the hub's host alone, not where that redirects to", async () => {
  const options = { ...transformers, dtypes: ["int8"] };
  const expected = await shrink(small, undefined, options);
  const bearer = (url) => new Request(url, { headers: { authorization: "Bearer secret" } });
  for (const [authorization, sourceFor] of [
    ["Bearer secret", bearer],
    [`Basic ${btoa("me:secret")}`, (url) => url.replace("//", "//me:secret@")],
  ]) {
    for (const sink of [undefined, join(top, authorization.slice(0, 5))]) {
      await withPrivateHub(authorization, async (url) => {
        const { report } = await shrink(sourceFor(url), undefined, { ...options, sink });
        assert.equal(report.outputBytes, expected.report.outputBytes);
      });
    }
  }
  await withPrivateHub("Bearer secret", async (url) => {
    await shrink(bearer(url), undefined, options);
    const post = new Request(url, { method: "POST" });
    await assert.rejects(shrink(post, undefined, options), /read by GET/);
  });
});

test("a token stays with the hub also where files elsewhere are read by ranges, each of which the hub is asked for", async () => {
  const authorization = "Bearer secret";
  // More than the bytes that are asked for first.
  const main = chainModel([{ name: "w", size: 200 }]);
  const files = { "config.json": text("{}"), "onnx/model.onnx": main };
  const options = { ...transformers, dtypes: ["int8"] };
  const expected = await shrink(files, undefined, options);
  await withPrivateHub(
    authorization,
    async (url, headersElsewhere) => {
      const source = new Request(url, { headers: { authorization } });
      const { files: found } = await shrink(source, undefined, options);
      const ranges = new Set(headersElsewhere.map(({ range }) => range));
      assert.ok(ranges.size > 2, "more is read than what is asked for first");
      for (const [name, blob] of Object.entries(expected.files)) {
        assert.deepEqual(await found[name].arrayBuffer(), await blob.arrayBuffer(), name);
      }
    },
    files,
    true,
  );
});

/** A run that stops when so many models are finished. */
async function stopAfter(count, source, options, words) {
  const controller = new AbortController();
  let finished = 0;
  const onProgress = ({ phase, done, total }) => {
    // What is written of the first model is all that is known of its end.
    if (phase === "write" && done > (total * count) / 5 && ++finished > 0) controller.abort();
  };
  const { signal } = controller;
  await assert.rejects(shrink(source, words, { ...options, signal, onProgress }), {
    name: "AbortError",
  });
}

test("a layout that was cut off goes on with resume: finished models are checked, and stay", async () => {
  const source = await save(seq2seqModel());
  const out = join(top, "out");
  const part = join(top, ".out.part");
  const options = { ...transformers, sink: out, resume: true };
  const expected = await shrink(source, undefined, transformers);
  await stopAfter(2, source, options);
  const left = Object.keys(await contents(part)).filter((it) => /onnx$/.test(it));
  const finished = left.filter((it) => !it.includes("/."));
  assert.ok(finished.length > 1, String(left));
  // One of them is damaged meanwhile, and something else lies there.
  const damaged = await readFile(join(part, finished[0]));
  damaged[damaged.length >> 1] ^= 1;
  await writeFile(join(part, finished[0]), damaged);
  await writeFile(join(part, "onnx/model_old.onnx"), "of an earlier run");
  const before = await stat(join(part, finished[1]));
  const { report } = await shrink(source, undefined, options);
  assert.equal((await stat(join(out, finished[1]))).ino, before.ino, "it is the same file");
  const found = await contents(out);
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected.files).sort());
  for (const [name, blob] of Object.entries(expected.files)) {
    assert.deepEqual(found[name], Buffer.from(await blob.arrayBuffer()), name);
  }
  assert.deepEqual(report, expected.report);
  assert.deepEqual(await readdir(top), ["out", "repository"]);
});

test("what is left of another recipe or source is not gone on with; without resume it goes", async () => {
  const source = await save(seq2seqModel());
  const out = join(top, "out");
  const options = { ...transformers, sink: out, resume: true };
  await stopAfter(2, source, options);
  await assert.rejects(shrink(source, { strip: true }, options), {
    code: "argument",
    message: /Cannot resume: the recipe .* is another since. Run without resume to start anew/,
  });
  await symlink("/", join(top, ".out.part/link"));
  await assert.rejects(shrink(source, undefined, options), /in the way of this run's own folder/);
  await shrink(source, undefined, { ...options, resume: false });
  assert.deepEqual(await readdir(top), ["out", "repository"]);
  for (const sink of [undefined, () => new WritableStream()]) {
    await assert.rejects(shrink(source, undefined, { ...options, sink }), /resume needs a path/);
  }
});

test("what came from a hub stays for a run that goes on, at the same commit", async () => {
  const files = externalSentenceModel();
  const names = Object.keys(files).filter((it) => !it.endsWith(".bin"));
  const options = { ...transformers, sink: join(top, "out"), resume: true };
  await withHub(
    listing(names),
    async (url, requests) => {
      await stopAfter(1, url, options);
      requests.splice(0);
      await shrink(url, undefined, options);
      assert.ok(!requests.some((path) => path.includes("onnx")), String(requests));
    },
    files,
  );
  const { files: expected } = await shrink(files, undefined, transformers);
  const found = await contents(join(top, "out"));
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
});

test("a guard holds for each model that is written; a function gives each its own", async () => {
  const source = await save(small);
  const ids = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, 4]);
  const sample = {
    input_ids: ids([1, 2, 3, 4]),
    attention_mask: ids([1, 1, 1, 1]),
    token_type_ids: ids([0, 0, 0, 0]),
  };
  const guard = { ort, inputs: [sample], minCosine: 0.9999 };
  const options = { ...transformers, dtypes: ["fp16", "q4"] };
  const whole = await shrink(source, undefined, options);
  const out = join(top, "out");
  for (const sink of [undefined, out]) {
    const { report } = await shrink(source, undefined, { ...options, sink, guard });
    for (const { guard: outcome } of report.models) {
      assert.ok(outcome.verification.worst.cosine >= 0.9999);
    }
    const [fp16, q4] = report.models;
    assert.deepEqual(fp16.guard.keptTensors, []);
    assert.ok(q4.guard.attempts > 1);
    assert.ok(q4.files[0].bytes > whole.report.models[1].files[0].bytes);
  }
  await (await ort.InferenceSession.create(join(out, "onnx/model_q4.onnx"))).release();
  const seen = [];
  const guardFor = (model) => {
    seen.push(model);
    return model.dtype === "q4" ? guard : undefined;
  };
  const { report } = await shrink(source, undefined, { ...options, guard: guardFor });
  assert.deepEqual(seen, [
    { input: "onnx/model.onnx", dtype: "fp16" },
    { input: "onnx/model.onnx", dtype: "q4" },
  ]);
  assert.deepEqual(
    report.models.map((it) => it.guard !== undefined),
    [false, true],
  );
});

const command = commandFolder();

test("the command writes a layout, and says what it wrote", async () => {
  await save(small, command.path("tiny"));
  const { code, stdout, stderr } = await command.run(
    ...[
      "shrink",
      "tiny",
      "--layout",
      "transformers",
      "-o",
      "models/tiny",
      "--dtypes",
      "q8,q4",
      "--keep",
      "w1",
    ],
  );
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^1 model, 140 kB, written as 2 models, [\d.]+ kB:\n[^]*onnx\/model_quantized\.onnx[^]*onnx\/model_q4\.onnx[^]*Copied: [^]*config\.json[^]*Written to models\/tiny/,
  );
  assert.deepEqual(await command.files("models/tiny/onnx"), [
    "model_q4.onnx",
    "model_quantized.onnx",
  ]);
  const again = await command.run(
    "shrink",
    "tiny",
    "--layout",
    "transformers",
    "-o",
    "models/tiny",
  );
  assert.equal(again.code, 1);
  assert.match(again.stderr, /not empty/);
  const planned = await command.run("plan", "tiny", "--layout", "transformers");
  assert.match(
    planned.stdout,
    /^1 model, 140 kB, would be 5 models, [\d.]+ kB:\n[^]*onnx\/model_q4\.onnx/,
  );
  const dry = await command.run("shrink", "tiny", "--layout", "transformers", "--dry-run");
  assert.match(dry.stdout, /Nothing is written; it would be written to .*tiny\.transformers\n$/);
  assert.ok(!(await command.files()).includes("tiny.transformers"));
  const beside = await command.run("shrink", "tiny", "--layout", "transformers", "--json");
  assert.equal(beside.code, 0, beside.stderr);
  const { output, models } = JSON.parse(beside.stdout);
  assert.equal(output, command.path("tiny.transformers"));
  assert.equal(models.length, 5);
  for (const [args, message] of [
    [["tiny", "--dtypes", "q4"], /needs --layout/],
    [["tiny", "--layout", "nchw"], /must be transformers/],
    [["tiny", "--layout", "transformers", "--dtypes", "q3"], /--dtypes has "q3"/],
    [["tiny", "--layout", "transformers", "--recipe", "int8"], /leave out --recipe/],
    [["tiny", "--layout", "transformers", "--mode", "dynamic"], /leave out --mode/],
    [
      ["tiny", "--layout", "transformers", "--min-cosine", "0.9"],
      /no use for --min-cosine: models of a repository have inputs of their own\. In code, shrink takes a guard for each/,
    ],
    [["tiny", "tiny", "--layout", "transformers"], /one repository/],
    [["-", "--layout", "transformers"], /- is neither/],
  ]) {
    const wrong = await command.run("shrink", ...args);
    assert.equal(wrong.code, 2, `${args}`);
    assert.match(wrong.stderr, message);
  }
});

test("an interrupted command leaves nothing", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`onnx/m${i}.onnx`, small["onnx/model.onnx"]]),
  );
  await save({ ...small, ...files }, command.path("tiny"));
  const child = command.start(["shrink", "tiny", "--layout", "transformers", "-o", "out"]);
  const ended = finish(child);
  while (!(await command.files()).includes(".out.part")) {
    assert.equal(child.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /interrupted; nothing was written \(.*--resume.*\)\.\n$/);
  assert.deepEqual(await command.files(), ["model.onnx", "tiny"]);
});

test("an interrupted command with --resume leaves what the same command goes on with", async () => {
  await save(seq2seqModel(), command.path("tiny"));
  const words = ["shrink", "tiny", "--layout", "transformers", "-o", "out", "--resume"];
  const child = command.start(words);
  const ended = finish(child);
  const finished = async () =>
    (await command.files(".out.part/onnx").catch(() => [])).filter((it) => /^[^.].*onnx$/.test(it));
  while ((await finished()).length === 0) {
    assert.equal(child.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /interrupted; the same command goes on from here\.\n$/);
  assert.deepEqual(await command.files(), [".out.part", "model.onnx", "tiny"]);
  const [name] = await finished();
  const { ino } = await stat(command.path(`.out.part/onnx/${name}`));
  const next = await command.run(...words);
  assert.equal(next.code, 0, next.stderr);
  assert.equal((await stat(command.path(`out/onnx/${name}`))).ino, ino);
  assert.deepEqual(await command.files(), ["model.onnx", "out", "tiny"]);
});

test("what a killed command has left goes when the next one writes the same folder; another's folder stays", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`onnx/m${i}.onnx`, small["onnx/model.onnx"]]),
  );
  await save({ ...small, ...files }, command.path("tiny"));
  const words = ["shrink", "tiny", "--layout", "transformers", "--dtypes", "q8", "-o", "out"];
  const child = command.start(words);
  const ended = finish(child);
  while (!(await command.files()).includes(".out.part")) {
    assert.equal(child.exitCode, null);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const meanwhile = await command.run(...words);
  assert.equal(meanwhile.code, 1);
  assert.match(meanwhile.stderr, /process \d+ is writing it/);
  child.kill("SIGKILL");
  await ended;
  assert.ok((await command.files()).includes(".out.part"));
  const next = await command.run(...words);
  assert.equal(next.code, 0, next.stderr);
  assert.deepEqual(await command.files(), ["model.onnx", "out", "tiny"]);
  assert.ok(!(await command.files("out")).some((name) => name.startsWith(".")));

  await mkdir(command.path(".other.part"));
  await writeFile(command.path(".other.part/mine.txt"), "mine");
  const inTheWay = await command.run(...words.with(-1, "other"));
  assert.equal(inTheWay.code, 1);
  assert.match(inTheWay.stderr, /\.other\.part" is in the way of this run's own folder/);
  assert.equal(await readFile(command.path(".other.part/mine.txt"), "utf8"), "mine");
});
