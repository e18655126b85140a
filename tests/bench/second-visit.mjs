// What a packed entry of the shrinking cache costs and gives on a second visit in Chromium, against the same model kept as it
// is: the bytes that are kept, and the times until the model's files are there and until onnxruntime-web has its session.
// Writes a table of docs/cache.md. Part of no other command: node tests/bench/second-visit.mjs, or, with a part of a model's
// name, without writing: … recognizer
import { readFile } from "node:fs/promises";
import { onnxruntimeApp } from "../support/client-apps.mjs";
import { machineName, writePart } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { median, modelPaths } from "../support/models.mjs";
import { chainModel } from "../support/onnx.mjs";
import { measureTwoVisits } from "../support/visits.mjs";

const rounds = Number(process.env.ROUNDS ?? 5);

const models = {
  "text recognizer": () => readFile(modelPaths.recognition),
  "Silero VAD": () => readFile(modelPaths.speech),
  "a chain of products": () =>
    Buffer.from(chainModel(["a", "ab", "abc", "abcd"].map((name) => ({ name, size: 2048 })))),
};

const codeOf = (recipe, packed) => `
  import { createShrinkCache } from "modelshrink/cache";
  import * as ort from "onnxruntime-web";
  const cache = createShrinkCache({ recipe: "${recipe}", packed: ${packed} });
  const begun = performance.now();
  const { files } = await cache.cached("/models/model.onnx");
  const cachedMs = performance.now() - begun;
  const bytes = new Uint8Array(await Object.values(files)[0].arrayBuffer());
  const session = await ort.InferenceSession.create(bytes);
  const sessionMs = performance.now() - begun;
  const [{ keptBytes }] = await cache.list();
  globalThis.noted = { cachedMs, sessionMs, keptBytes };
`;

/** What the second visit notes. */
async function secondVisit(body, recipe, packed) {
  const app = onnxruntimeApp(codeOf(recipe, packed), "/models/model.onnx");
  const { second } = await measureTwoVisits({ ...app, models: { "/models/model.onnx": body } });
  return second.noted;
}

async function rowOf(name, body, recipe) {
  const found = { plain: [], packed: [] };
  // One after the other, so that what else the machine does meets both.
  for (let i = 0; i < rounds; i++) {
    found.plain.push(await secondVisit(body, recipe, false));
    found.packed.push(await secondVisit(body, recipe, true));
  }
  const cells = (pick) => [pick(found.plain), pick(found.packed)];
  const ms = (key) => (all) => median(all.map((it) => it[key])).toFixed(0);
  return [
    ...[name, recipe, (body.length / 1e6).toFixed(2)],
    ...cells(([{ keptBytes }]) => (keptBytes / 1e6).toFixed(2)),
    ...cells(ms("cachedMs")),
    ...cells(ms("sessionMs")),
  ];
}

const wanted = process.argv[2];
const rows = [];
for (const [name, make] of Object.entries(models)) {
  if (wanted && !name.includes(wanted)) continue;
  for (const recipe of ["int8", "small"]) {
    const row = await rowOf(name, await make(), recipe);
    console.log(row.join(" | "));
    rows.push(row);
  }
}
const table = markdownTable(
  [
    ...["model", "recipe", "MB", "kept, MB", "packed, MB"],
    ...["files there, ms", "packed, ms", "session ready, ms", "packed, ms"],
  ],
  rows,
);
if (!wanted)
  await writePart(
    "second-visit",
    `Measured on ${machineName()}; medians of ${rounds} visits.\n\n${table}`,
  );
