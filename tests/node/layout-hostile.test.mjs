// Repositories that are not what they should be: links, names and configurations that no layout is made of.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ArgumentError, FormatError, shrink, UnsupportedError } from "modelshrink";
import { json, layoutFolder, small, text, transformers } from "../support/layouts.mjs";

const { at, refused, save } = layoutFolder();

test("no link out of the repository is followed, and nothing but regular files is opened", async () => {
  await save({ secret: text("secret"), "model.onnx": small["onnx/model.onnx"] }, at("elsewhere"));
  for (const [name, target] of [
    ["vocab.txt", "elsewhere/secret"],
    ["onnx/model.onnx", "elsewhere/model.onnx"],
  ]) {
    const folder = await save(small, at(name.replace("/", "-")));
    await rm(join(folder, name), { force: true });
    await symlink(at(target), join(folder, name));
    await refused(folder, ArgumentError, /outside the model's folder/);
  }
  const linked = await save({ "config.json": json({}) }, at("linked"));
  await symlink(at("elsewhere"), join(linked, "onnx"));
  await refused(linked, ArgumentError, /has no \.onnx file/);
  const piped = await save(small, at("piped"));
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
