// How small real models become: each shrunk for several targets, without and with a calibration, packed, and run.
// Writes the tables of docs/evaluation.md and docs/curves.svg. What calibrates does not judge. A quarter of an hour:
// node tests/bench/curves.mjs
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pack, plan, shrink } from "modelshrink";
import { calibrate } from "modelshrink/runtime";
import ort from "onnxruntime-node";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import {
  composePages,
  detectPages,
  detectSpeech,
  loadLines,
  modelPaths,
  recognizeLines,
  speechCalibration,
  speechTrace,
} from "../support/models.mjs";
import { recognitionInput } from "../support/recognition.mjs";
import { root } from "../support/run.mjs";
import { nodeRuntime } from "../support/runtimes.mjs";

const lines = loadLines();
const calibrationLines = lines.filter((_, i) => i % 4 === 0);
const otherLines = lines.filter((_, i) => i % 4 !== 0);
const pages = composePages(lines);
const { open } = await nodeRuntime();

/** The mean over the steps of all lines of KL(p ‖ q), in nats. */
function divergence(ps, qs) {
  let [sum, steps] = [0, 0];
  ps.forEach(({ data, dims }, line) => {
    data.forEach((p, i) => {
      if (p > 1e-9) sum += p * Math.log(p / Math.max(qs[line].data[i], 1e-9));
    });
    steps += dims[1];
  });
  return sum / steps;
}

const meanDifference = (a, b) =>
  a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;

async function outputsOf(session, some) {
  const outputs = [];
  for (const { image } of some) {
    outputs.push((await session.run({ x: recognitionInput(image) }))[session.outputNames[0]]);
  }
  return outputs;
}

/** For each model its title, targets, columns, and what a session's outputs say beside the original's. */
const models = {
  recognition: {
    title: `PP-OCRv4 recognition: KL of the outputs on ${otherLines.length} lines, character error rate on them and on all ${lines.length}; calibrated on ${calibrationLines.length}`,
    columns: ["KL", `CER, ${otherLines.length}`, `CER, ${lines.length}`],
    targets: [5, 4.5, 4.2, 4, 3.8, 3.5, 3],
    calibrated: [4, 3.5, 3, 2.75, 2.5],
    inputs: () => calibrationLines.map(({ image }) => ({ x: recognitionInput(image) })),
    async measure(session) {
      const [others, all] = [
        await recognizeLines(session, otherLines),
        await recognizeLines(session, lines),
      ];
      return { outputs: await outputsOf(session, otherLines), others: others.cer, all: all.cer };
    },
    score: (found, original) => divergence(original.outputs, found.outputs),
    show: ({ others, all }, score, isCalibrated) => [
      score.toFixed(4),
      others.toFixed(4),
      isCalibrated ? "–" : all.toFixed(4),
    ],
  },
  speech: {
    title:
      "Silero VAD v5: mean change of a frame's probability of speech, over a voice, the voice in noise, and noise; mean in speech and in noise; calibrated on other voices",
    columns: ["change", "speech", "noise"],
    targets: [5, 4.5, 4, 3.5, 3, 2.5],
    calibrated: [4, 3.5, 3, 2.5, 2],
    inputs: async (source) => speechCalibration(await open(source)),
    measure: async (session) => ({
      trace: await speechTrace(session),
      ...(await detectSpeech(session)),
    }),
    score: (found, original) => meanDifference(found.trace, original.trace),
    show: ({ speech, silence }, score) => [score.toFixed(4), speech.toFixed(4), silence.toFixed(4)],
  },
  detection: {
    title: `PP-OCRv4 detection: mean change of the map, F1 of the boxes on ${pages.length} pages`,
    columns: ["change", "F1"],
    targets: [5, 4.5, 4, 3.5, 3, 2.5],
    calibrated: [],
    measure: (session) => detectPages(session, pages),
    score: (found, original) =>
      found.maps.reduce(
        (sum, { data }, i) => sum + meanDifference([...data], [...original.maps[i].data]),
        0,
      ) / pages.length,
    show: ({ f1 }, score) => [score.toFixed(4), f1.toFixed(3)],
  },
};

/** Shrinks, packs and runs a model; {label, packed, rate, score, cells}. */
async function variant(model, source, original, { label, recipe, options = {} }) {
  const shrunk = recipe === undefined ? undefined : await shrink(source, recipe, options);
  const bytes = shrunk ? await shrunk.bytes() : source;
  const packed = (await (await pack(bytes)).bytes()).length;
  const rate =
    recipe === "int8" ? (await plan(source, recipe, { survey: true })).rate : shrunk?.report.rate;
  const session = await open(bytes);
  const found = await model.measure(session);
  await session.release();
  const score = model.score(found, original ?? found);
  const isCalibrated = options.calibration !== undefined;
  const result = { label, packed, rate, score, isCalibrated, found };
  console.error(`${label}: ${packed} bytes, ${model.show(found, score, isCalibrated).join(", ")}`);
  return result;
}

async function curveOf(name) {
  const model = models[name];
  const source = new Uint8Array(await readFile(modelPaths[name]));
  const calibration =
    model.calibrated.length > 0
      ? await calibrate(source, { ort, inputs: await model.inputs(source) })
      : undefined;
  const targetOf = (bitsPerWeight) => ({ target: { bitsPerWeight }, strip: true });
  const original = await variant(model, source, undefined, { label: "fp32" });
  const rows = [original];
  for (const it of [
    { label: "int8", recipe: "int8" },
    { label: "int4", recipe: "int4" },
    ...model.targets.map((bits) => ({ label: `${bits} bits`, recipe: targetOf(bits) })),
    ...model.calibrated.map((bits) => ({
      ...{ label: `${bits} bits, calibrated`, recipe: targetOf(bits) },
      options: { calibration },
    })),
  ]) {
    rows.push(await variant(model, source, original.found, it));
  }
  return rows;
}

const kilobytes = (bytes) => (bytes / 1000).toFixed(0);

function section(name, rows) {
  const { title, columns, show } = models[name];
  const header = ["weights", "packed kB", "foreseen", "bits a weight", "SQNR dB", ...columns];
  const body = rows.map(({ label, packed, rate, score, isCalibrated, found }) => [
    label,
    kilobytes(packed),
    rate ? `${(100 * (rate.packedBytes / packed - 1)).toFixed(1)} %` : "–",
    rate ? rate.bitsPerWeight.toFixed(2) : "–",
    rate ? rate.sqnr.toFixed(1) : "–",
    ...show(found, score, isCalibrated),
  ]);
  return `**${title}**\n\n${markdownTable(header, body)}`;
}

/** A drawing of packed sizes and scores, the latter on a logarithmic axis, of int8 and the targets. */
function drawing(rows) {
  const [width, height, margin] = [640, 360, 56];
  const shown = rows.filter(({ label }) => label !== "fp32" && label !== "int4");
  const sizes = shown.map(({ packed }) => packed);
  const logs = shown.map(({ score }) => Math.log10(score));
  const [least, most] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  const [from, to] = [Math.min(...sizes) * 0.95, Math.max(...sizes) * 1.02];
  const x = (size) => margin + ((size - from) / (to - from)) * (width - 2 * margin);
  const y = (log) => margin / 2 + ((most - log) / (most - least)) * (height - 1.5 * margin);
  const text = (at, of, content, anchor = "middle") =>
    `<text x="${at.toFixed(1)}" y="${of.toFixed(1)}" text-anchor="${anchor}">${content}</text>`;
  const parts = [];
  for (let log = least; log <= most; ++log) {
    parts.push(
      `<path d="M${margin} ${y(log).toFixed(1)}H${width - margin}" stroke="#bbb"/>`,
      text(margin - 6, y(log) + 4, String(Number(`1e${log}`)), "end"),
    );
  }
  for (const [color, name, some] of [
    ["#1769aa", "without samples", shown.filter(({ isCalibrated }) => !isCalibrated)],
    ["#b3541e", "calibrated", shown.filter(({ isCalibrated }) => isCalibrated)],
  ]) {
    const points = some.map(({ packed, score, label }) => [
      x(packed),
      y(Math.log10(score)),
      label.replace(" bits", "").replace(", calibrated", ""),
    ]);
    const path = points.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L");
    parts.push(`<g fill="${color}"><path d="M${path}" fill="none" stroke="${color}"/>`);
    for (const [a, b, label] of points) {
      parts.push(
        `<circle cx="${a.toFixed(1)}" cy="${b.toFixed(1)}" r="3"/>`,
        text(a, b - 7, label),
      );
    }
    const [first] = points.toSorted((a, b) => a[0] - b[0]);
    parts.push(text(first[0] + 8, first[1] + 16, name, "start"), "</g>");
  }
  for (const size of [from, (from + to) / 2, to]) {
    parts.push(text(x(size), height - margin / 2, `${kilobytes(size)} kB`));
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">` +
    `<rect width="${width}" height="${height}" fill="#fff"/>${parts.join("\n")}\n</svg>\n`
  );
}

const curves = {};
for (const name of Object.keys(models)) curves[name] = await curveOf(name);
await writeFile(join(root, "docs/curves.svg"), drawing(curves.recognition));
await writeMeasured(
  "curves",
  [
    `Measured on ${machineName()}, onnxruntime-node. *Foreseen*: how far the size that a survey foresees is from the packed ` +
      "file's. *SQNR*: of all weights together, as if they were rounded.",
    ...Object.entries(curves).map(([name, rows]) => section(name, rows)),
  ].join("\n\n"),
);
