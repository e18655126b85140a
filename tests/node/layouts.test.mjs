// Folders as tools and people lay them out, and links in them that lead elsewhere.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { ArgumentError, inspect, shrink } from "modelshrink";
import { externalModel } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

let home;

before(async () => {
  home = await mkdtemp(join(tmpdir(), "modelshrink-layouts-"));
});
beforeEach(async () => {
  for (const name of await readdir(home)) await rm(join(home, name), { recursive: true });
});
after(() => rm(home, { recursive: true }));

async function put(path, bytes) {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await writeFile(join(home, path), bytes);
}

async function linkTo(target, path) {
  await mkdir(dirname(join(home, path)), { recursive: true });
  await symlink(target, join(home, path));
}

const shard = (name) =>
  makeSafetensors([{ name, dtype: "F32", shape: [64, 64], data: new Float32Array(4096).fill(1) }]);
const indexOf = (map) => JSON.stringify({ metadata: {}, weight_map: map });

/** Shrinks into a folder, and gives the output's files by their names. */
async function filesOf(source) {
  const sink = join(home, "out/");
  await rm(sink, { recursive: true, force: true });
  const { report } = await shrink(source, "int8", { sink });
  const files = {};
  for (const { name } of report.files) files[name] = await readFile(join(sink, name));
  return files;
}

describe("Hugging Face's cache: links lead into the blobs of the same repository", () => {
  const repository = "models--o--m";
  const snapshot = `${repository}/snapshots/rev`;

  test("an ONNX model and its data, at any depth", async () => {
    const [main, data] = Object.values(externalModel("model.onnx_data"));
    await put(`${repository}/blobs/1`, main);
    await put(`${repository}/blobs/2`, data);
    for (const [folder, up] of [
      ["", "../../"],
      ["onnx/", "../../../"],
      ["a/b/", "../../../../"],
    ]) {
      await linkTo(`${up}blobs/1`, `${snapshot}/${folder}model.onnx`);
      await linkTo(`${up}blobs/2`, `${snapshot}/${folder}model.onnx_data`);
      const files = await filesOf(join(home, snapshot, folder, "model.onnx"));
      assert.deepEqual(Object.keys(files), ["model.onnx", "model.onnx_data"]);
    }
    assert.equal((await inspect(join(home, snapshot, "onnx"))).files.length, 2);
  });

  test("shards by their index, and the whole repository by a link of the user's", async () => {
    await put(`${repository}/blobs/1`, indexOf({ a: "m-1.safetensors", b: "m-2.safetensors" }));
    await put(`${repository}/blobs/2`, shard("a"));
    await put(`${repository}/blobs/3`, shard("b"));
    const names = ["m.safetensors.index.json", "m-1.safetensors", "m-2.safetensors"];
    for (const [i, name] of names.entries()) {
      await linkTo(`../../../blobs/${i + 1}`, `${snapshot}/unet/${name}`);
    }
    await linkTo(`${snapshot}/unet`, "mine");
    for (const path of [join(snapshot, "unet"), "mine", "mine/m.safetensors.index.json"]) {
      assert.deepEqual(Object.keys(await filesOf(join(home, path))), names);
    }
  });

  test("links to another repository's blobs, or beside them, are refused", async () => {
    const [main, data] = Object.values(externalModel("model.onnx_data"));
    await put(`${repository}/blobs/1`, main);
    await put("models--other/blobs/2", data);
    await put(`${repository}/blobs-2/2`, data);
    for (const target of ["../../../models--other/blobs/2", "../../blobs-2/2"]) {
      await rm(join(home, snapshot), { recursive: true, force: true });
      await linkTo("../../blobs/1", `${snapshot}/model.onnx`);
      await linkTo(target, `${snapshot}/model.onnx_data`);
      const run = inspect(join(home, snapshot, "model.onnx"));
      await assert.rejects(run, (error) => {
        assert.ok(error instanceof ArgumentError);
        assert.match(error.message, /outside the model's folder/);
        return true;
      });
    }
  });

  test("a folder of blobs that is itself a link leads nowhere", async () => {
    const [main, data] = Object.values(externalModel("model.onnx_data"));
    await put("private/key", data);
    await linkTo("../private", `${repository}/blobs`);
    await put(`${snapshot}/model.onnx`, main);
    await linkTo("../../blobs/key", `${snapshot}/model.onnx_data`);
    await assert.rejects(inspect(join(home, snapshot, "model.onnx")), ArgumentError);
  });
});

describe("links that the user has named lead anywhere, those in a folder do not", () => {
  test("a main file", async () => {
    await put("elsewhere/m.safetensors", shard("a"));
    await linkTo("../elsewhere/m.safetensors", "clone/m.safetensors");
    assert.equal((await inspect(join(home, "clone/m.safetensors"))).tensors.length, 1);
    const run = inspect(join(home, "clone"));
    await assert.rejects(run, { code: "argument", message: /outside the model's folder/ });
  });

  test("a folder", async () => {
    await put("elsewhere/onnx/model.onnx", externalModel()["model.onnx"]);
    await linkTo("elsewhere", "mine");
    assert.equal((await inspect(join(home, "mine"))).format, "onnx");
    await linkTo("../elsewhere/onnx", "clone/onnx");
    const run = inspect(join(home, "clone"));
    await assert.rejects(run, { code: "argument", message: /outside the model's folder/ });
  });
});

test("shards lie in subfolders, of the input and of the output", async () => {
  await put(
    "m/m.safetensors.index.json",
    indexOf({ a: "x/1.safetensors", b: "x/y/1.safetensors" }),
  );
  await put("m/x/1.safetensors", shard("a"));
  await put("m/x/y/1.safetensors", shard("b"));
  const names = ["m.safetensors.index.json", "x/1.safetensors", "x/y/1.safetensors"];
  assert.deepEqual(Object.keys(await filesOf(join(home, "m"))), names);
  assert.equal((await inspect(join(home, "out"))).tensors.length >= 2, true);
});

describe("locations ./data.bin and 100%.bin name files as they are", () => {
  const cases = {
    "./data.bin": "data.bin",
    "./a/./data.bin": "a/data.bin",
    "100%.bin": "100%.bin",
    "50%25 of it.bin": "50%25 of it.bin",
    "a%/b%.bin": "a%/b%.bin",
  };
  let server;
  before(async () => {
    server = createServer(async ({ url }, response) => {
      const path = url.slice(1).split("/").map(decodeURIComponent).join("/");
      const bytes = await readFile(join(home, path)).catch(() => undefined);
      response.writeHead(bytes ? 200 : 404).end(bytes);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => server.close());

  for (const [location, path] of Object.entries(cases)) {
    test(location, async () => {
      const [main, data] = Object.values(externalModel(location));
      await put("m/m.onnx", main);
      await put(`m/${path}`, data);
      const sources = {
        path: join(home, "m/m.onnx"),
        address: `http://127.0.0.1:${server.address().port}/m/m.onnx`,
        record: { "m.onnx": main, [path]: data },
      };
      const expected = await (await shrink(sources.record, "int8")).files;
      for (const [kind, source] of Object.entries(sources)) {
        const { files } = await inspect(source);
        assert.deepEqual(
          files.map(({ name }) => name),
          ["m.onnx", path],
          kind,
        );
        const written = await filesOf(source);
        assert.deepEqual(Object.keys(written), Object.keys(expected), kind);
        for (const [name, blob] of Object.entries(expected)) {
          assert.equal(Buffer.compare(written[name], Buffer.from(await blob.arrayBuffer())), 0);
        }
      }
    });
  }

  test("a record may name the file as the model does", async () => {
    for (const location of ["./data.bin", "100%.bin"]) {
      assert.equal((await inspect(externalModel(location))).files.length, 2);
    }
  });

  test("what a URL would decode to a way out is refused", async () => {
    for (const location of ["%2e%2e/x", "a/%2E%2E/x", "a%2fb", "a%5Cb", "./../x", "../x"]) {
      await assert.rejects(inspect(externalModel(location)), { code: "format" });
    }
  });
});
