// Names that drive a terminal, break lines or turn the direction of writing, in every text that shows names.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ArgumentError, compare, FormatError, inspect, plan, restore, shrink } from "modelshrink";
import { calibrate, verify } from "modelshrink/runtime";
import {
  formatModelInfo,
  formatPlan,
  formatReport,
  formatVerification,
  visible,
} from "modelshrink/text";
import * as ort from "onnxruntime-node";
import { ProgressBar } from "../../dist/cli/progress-bar.js";
import { makeGguf, weights } from "../support/gguf.mjs";
import { bytes, chainModel, externalModel, number, string } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";
import { commandFolder } from "./cli.mjs";
import { seedFiles, seedNames } from "./seeds.mjs";

/** Sets a title, clears the screen, begins lines, and turns what follows around. */
const evil =
  "e\u001b]0;t\u0007\u009b2J\r\nWarning: \u007f\u2028\u2029\u202e\u2066\u200f\u061c\ufeff";
// eslint-disable-next-line no-control-regex -- these are the characters that are looked for
const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff]/;

/** Throws when a text of several lines has such a character, or a line that a name began. */
function checkText(text, mayHaveLines = false) {
  assert.equal(typeof text, "string");
  const lines = mayHaveLines ? text.split("\n") : [text];
  for (const line of lines) assert.doesNotMatch(line, unsafe, JSON.stringify(line));
  if (mayHaveLines) assert.doesNotMatch(text, /^Warning: \\u007f/m);
}

const { path, run } = commandFolder();
const name = `layer${evil}.weight`;
const data = Float32Array.from({ length: 64 * 64 }, (_, i) => Math.sin(i));
const large = new Float32Array(64 * 64).fill(1e6);
const models = {
  onnx: chainModel([{ name, size: 64 }]),
  safetensors: makeSafetensors([
    { name, dtype: "F32", shape: [64, 64], data },
    { name: `${name}2`, dtype: "F32", shape: [64, 64], data: large },
  ]),
  gguf: makeGguf({
    keys: [
      ["general.architecture", "string", `llama${evil}`],
      [`key${evil}`, "string", evil],
    ],
    tensors: [{ name, dims: [64, 64], type: "F32", data: weights(64 * 64, "F32", 1) }],
  }),
};
/** A graph whose one operator has this type. */
const graphOf = (operator) => {
  const node = [string(1, "X"), string(1, name), string(2, `Y${evil}`), string(4, operator)];
  const tensor = [
    number(1, 64),
    number(1, 64),
    number(2, 1),
    string(8, name),
    bytes(9, Buffer.from(data.buffer)),
  ];
  const graph = [bytes(1, Buffer.concat(node)), string(2, "g"), bytes(5, Buffer.concat(tensor))];
  return Buffer.concat([number(1, 8), bytes(7, Buffer.concat(graph)), bytes(8, number(2, 13))]);
};
/** Its data is missing, which a note says. */
const external = externalModel("\u009b2J\u202e.data")["model.onnx"];
models.unknown = graphOf(`Op${evil}`);

const sample = { X: { data: new Float32Array(64).fill(1), dims: [1, 64] } };

/** Gives the error that the work throws. */
async function errorOf(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

describe("terminal control characters and bidirectional overrides are escaped in every text that shows names", () => {
  for (const [kind, model] of Object.entries(models)) {
    test(`tables, notes, warnings and verdicts: ${kind}`, async () => {
      const info = await inspect(model);
      assert.ok(
        info.tensors.some((it) => it.name === name),
        "names in results are as they are",
      );
      checkText(formatModelInfo(info, { maxRows: Infinity }), true);
      const recipes = ["int8", "fp16", { rules: [{ match: evil, keep: true }] }];
      for (const recipe of [...recipes, { prune: { method: "magnitude", sparsity: 0.5 } }]) {
        const planned = await plan(model, recipe);
        checkText(formatPlan(planned, { maxRows: Infinity }), true);
        const { report, bytes: written } = await shrink(model, recipe);
        checkText(formatReport(report, { maxRows: Infinity }), true);
        const { report: restored } = await restore(await written());
        const compared = await compare(model, await written());
        checkText(formatReport(restored, { maxRows: Infinity }), true);
        checkText(formatReport(compared, { maxRows: Infinity }), true);
        for (const { warnings = [], tensors } of [planned, report, restored, compared]) {
          for (const text of warnings) checkText(text);
          for (const { note } of tensors) if (note !== undefined) checkText(note);
        }
      }
    });
  }

  test("messages of errors, whichever class makes them", async () => {
    const errors = [
      new ArgumentError(evil),
      new FormatError(`"${evil}"`, { tensor: evil, cause: new Error(evil) }),
      await errorOf(() => inspect(models.onnx, { [evil]: 1 })),
      await errorOf(() => shrink(models.onnx, evil)),
      await errorOf(() => shrink(models.onnx, { [evil]: 1 })),
      await errorOf(() => shrink(models.onnx, { rules: [{ match: `/(${evil}/` }] })),
      await errorOf(() => shrink(models.onnx, { weights: evil })),
      await errorOf(() =>
        shrink(models.onnx, "int8", { sink: join(path("model.onnx"), evil, "x.onnx") }),
      ),
      await errorOf(() => inspect(path(evil))),
      await errorOf(() => inspect(`x${evil}://a`)),
      await errorOf(() => inspect({ [evil]: 5 })),
      await errorOf(() => inspect({ [`${evil}.onnx`]: Buffer.from("no model") })),
      await errorOf(() => inspect(externalModel(`/${evil}`)["model.onnx"])),
      await errorOf(() => shrink(models.onnx, "int8", { guard: { [evil]: 1 } })),
      await errorOf(() =>
        verify(models.onnx, models.onnx, { ort, inputs: [{ [evil]: sample.X }] }),
      ),
      await errorOf(() =>
        verify(models.onnx, models.onnx, { ort, inputs: [sample], outputs: [evil] }),
      ),
      await errorOf(() => verify(models.unknown, models.onnx, { ort, inputs: [sample] })),
      await errorOf(() => calibrate(models.unknown, { ort, inputs: [sample] })),
    ];
    for (const { message, stack } of errors) {
      checkText(message);
      checkText(stack, true);
    }
    assert.equal(errors[1].tensor, evil);
  });

  test("notes with the names of files", async () => {
    const { tensors } = await inspect(external);
    assert.match(tensors[0].note, /\\u009b2J\\u202e\.data/);
    checkText(tensors[0].note);
  });

  test("messages on values that are not finite", async () => {
    const bad = makeSafetensors([
      { name, dtype: "F32", shape: [64, 64], data: data.map(() => NaN) },
    ]);
    const error = await errorOf(() => shrink(bad, "int8"));
    checkText(error.message);
    assert.ok(error.message.includes(visible(name)), error.message);
    assert.equal(error.tensor, name);
  });

  test("messages on files whose every text is hostile", async () => {
    let count = 0;
    for (const folder of ["onnx_reader", "safetensors_reader", "gguf_reader", "tfjs_reader"]) {
      for (const seed of seedNames(folder)) {
        const files = seedFiles(folder, seed);
        const error = await inspect(files).catch((it) => it);
        if (!(error instanceof Error)) continue;
        checkText(error.message);
        count++;
      }
    }
    assert.ok(count > 100, `${count} errors`);
  });

  test("the comparison of outputs", () => {
    const outputs = [{ name: evil, sqnr: 20, cosine: 1, maxAbsError: 0.1, nonFinite: 3 }];
    const skipped = [{ name: evil, reason: `is of type ${evil}` }];
    const [worst] = outputs;
    checkText(formatVerification({ samples: 1, outputs, skipped, worst }), true);
  });

  test("the progress bar", () => {
    const lines = [];
    const bar = new ProgressBar({ isTTY: true, columns: 200, write: (text) => lines.push(text) });
    bar.update({ phase: "write", done: 1, total: 2, tensor: evil });
    assert.ok(lines[0].startsWith("\r\u001b[K"));
    checkText(lines[0].slice(4));
  });
});

describe("the command escapes names, too", () => {
  const inSeveral = ["a.onnx", `b${evil}.onnx`];

  /** Runs a command; all that it shows is safe. */
  async function shown(...words) {
    const found = await run(...words);
    checkText(found.stdout, true);
    checkText(found.stderr, true);
    return found;
  }

  for (const [kind, model] of Object.entries(models)) {
    test(`on a model whose names are hostile: ${kind}`, async () => {
      const file = `${kind}.${kind === "unknown" ? "onnx" : kind}`;
      await writeFile(path(file), model);
      await writeFile(path(inSeveral[1]), model);
      for (const words of [
        ["inspect", file, "--all"],
        ["inspect", file, "--json"],
        ["plan", file, "--all", "--keep", evil],
        ["plan", file, "--json"],
        ["shrink", file, "-o", "out/", "--recipe", "fp16"],
        ["shrink", file, inSeveral[1], "-o", "several/"],
        ["shrink", inSeveral[1], "--dry-run"],
        ["shrink", file, "-o", `folder${evil}/`],
        ["restore", file, "-o", "back/"],
        ["compare", file, inSeveral[1], "--all"],
      ]) {
        const { stdout, stderr } = await shown(...words);
        assert.ok(stdout + stderr !== "", words.join(" "));
      }
    });
  }

  test("in its complaints about words and files", async () => {
    await writeFile(path("recipe.json"), JSON.stringify({ [evil]: 1 }));
    await writeFile(path("broken.json"), `{"weights": ${evil}}`);
    await writeFile(path("sample.json"), JSON.stringify([{ [evil]: { data: [1], dims: [1] } }]));
    await mkdir(path("empty"));
    for (const [words, code = 2] of [
      [[evil]],
      [["inspect"]],
      [["inspect", evil], 1],
      [["inspect", "model.onnx", `--${evil}`]],
      [["inspect", "model.onnx", "--timeout-ms", evil]],
      [["help", evil]],
      [["completion", evil]],
      [["plan", "model.onnx", "--recipe", evil]],
      [["plan", "model.onnx", "--recipe", `${evil}.json`], 2],
      [["plan", "model.onnx", "--recipe", "recipe.json"], 2],
      [["plan", "model.onnx", "--recipe", "broken.json"], 2],
      [["plan", "model.onnx", "--rule", evil]],
      [["plan", "model.onnx", "--prune", evil]],
      [["plan", "model.onnx", "--max-growth", evil]],
      [["shrink", "model.onnx", "--workers", evil]],
      [["shrink", "model.onnx", "-o", `model.onnx/${evil}`], 1],
      [["restore", "model.onnx", "--weights", evil]],
      [["verify", "model.onnx", "model.onnx", "--inputs", evil], 1],
      [["verify", "model.onnx", "model.onnx", "--inputs", "sample.json"], 1],
      [["verify", "model.onnx", "model.onnx", "--inputs", "empty", "--input-name", evil]],
      [["verify", "model.onnx", "model.onnx", "--inputs", "sample.json", "--mean", evil]],
    ]) {
      const found = await shown(...words);
      assert.equal(found.code, code, `${words.join(" ")}: ${found.stderr}`);
      assert.notEqual(found.stderr, "");
      if (["help", "completion"].includes(words[0])) continue;
      if (words.length > 0) await shown(...words, "--json");
    }
  });
});
