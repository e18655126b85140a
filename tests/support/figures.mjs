// The figures of README.md and docs/choosing.md, taken from the tables that `npm run evaluate`, `npm run bench` and
// tests/bench/transformers.mjs wrote.
import { markdownTable } from "./markdown-table.mjs";

const cellsOf = (line) =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

/** The row that begins with `label` in the first table of `markdown` that has it: cells by their column's name. */
function rowOf(markdown, label) {
  let header;
  for (const line of markdown.split("\n")) {
    if (!line.startsWith("|")) {
      header = undefined;
      continue;
    }
    const cells = cellsOf(line);
    header ??= cells;
    // A table may have a column twice, once for each runtime: the first one counts.
    if (cells[0] === label) {
      return Object.fromEntries(header.map((name, i) => [name, cells[i]]).reverse());
    }
  }
  throw new Error(`No table has a row "${label}".`);
}

/** The machine that a part's first sentence names: "Measured on <machine>, Node.js …". */
function machineOf(markdown) {
  const [, machine] = /^Measured on (.+?), Node\.js /.exec(markdown) ?? [];
  if (machine === undefined) throw new Error("A measured part does not name its machine.");
  return machine;
}

const maxWidth = 118;

/** A list item in lines of at most `maxWidth` characters. */
function item(text) {
  const lines = ["-"];
  for (const word of text.split(" ")) {
    if (lines.at(-1).length + 1 + word.length > maxWidth) lines.push(" ");
    lines[lines.length - 1] += ` ${word}`;
  }
  return lines.join("\n");
}

/** Three sentences with figures, as Markdown; `readPart` gives the Markdown of a generated part. */
export async function figures(readPart) {
  const [quality, kernels, files] = await Promise.all(["evaluate", "bench", "files"].map(readPart));
  const [before, after] = [rowOf(quality, "fp32"), rowOf(quality, "int8 storage")];
  const codes = rowOf(kernels, "uint8 affine");
  const copied = rowOf(files, "safetensors → int8");
  return [
    `A text recognizer (PP-OCRv4) becomes **${before.MB} → ${after.MB} MB** as int8, and reads as well: character error ` +
      `rate ${before.node} → ${after.node} ([evaluation](docs/evaluation.md); ${machineOf(quality)}).`,
    `Float32 becomes uint8 at **${codes["GB/s"]} GB/s** in WebAssembly on one thread: ${codes["× JS"]} times as fast as ` +
      `JavaScript, ${codes["× ort-web"]} times as fast as onnxruntime-web ([benchmarks](docs/benchmarks.md); ${machineOf(kernels)}).`,
    `A file of 540 MB becomes int8 at **${copied["1 thread MB/s"]} MB/s** on one thread, with a heap of ` +
      `${copied["heap MiB"]} MiB ([benchmarks](docs/benchmarks.md#whole-files); ${machineOf(files)}).`,
  ]
    .map(item)
    .join("\n");
}

/** The part of `markdown` from the bold title that begins with `title` to the next one. */
function underTitle(markdown, title) {
  const from = markdown.indexOf(`**${title}`);
  if (from < 0) throw new Error(`No table is called "${title}".`);
  const next = markdown.indexOf("\n**", from);
  return markdown.slice(from, next < 0 ? undefined : next);
}

/** Where docs/choosing.md takes its rows from. `column`: that of the measure; `rows`: the labels of the recipes' rows. */
const onnxRows = { float: "fp32", half: "fp16", eight: "int8 storage", four: "int4 storage" };
const tfjsRows = { float: "float32", half: "float16", eight: "int8, a scale a channel" };
const measured = [
  {
    ...{ part: "evaluate", title: "PP-OCRv4 recognition", column: "node", rows: onnxRows },
    ...{ model: "Text recognition (ONNX, convolutions)", measure: "character error rate" },
  },
  {
    ...{ part: "evaluate", title: "PP-OCRv4 detection", column: "node", rows: onnxRows },
    ...{ model: "Text detection (ONNX, convolutions)", measure: "F1 of boxes (change)" },
  },
  {
    ...{ part: "evaluate", title: "Silero VAD v5", column: "node", rows: onnxRows },
    ...{ model: "Voice detection (ONNX, LSTM)", measure: "probability in speech / noise" },
  },
  {
    ...{
      part: "transformers",
      column: "mean cosine",
      model: "Sentence encoder (ONNX, transformer)",
    },
    ...{ measure: "mean cosine of embeddings" },
    rows: { float: "fp32 (the original)", half: "fp16", eight: "int8", four: "q4" },
  },
  ...[
    ["posenet", "Poses"],
    ["faceres-deep", "Faces"],
    ["mobilefacenet", "Face embeddings"],
  ].map(([title, name]) => ({
    ...{ part: "evaluate-tfjs", title, column: "worst cosine", rows: tfjsRows },
    ...{ model: `${name} (TensorFlow.js, graph model)`, measure: "worst cosine of outputs" },
  })),
];

/** What each number type did to real models, as a Markdown table; `readPart` is as for {@link figures}. */
export async function choosingFigures(readPart) {
  const rows = await Promise.all(
    measured.map(async ({ part, title, column, rows, model, measure }) => {
      const markdown = await readPart(part);
      const table = title === undefined ? markdown : underTitle(markdown, title);
      const cell = (kind) => {
        if (rows[kind] === undefined) return "–";
        const { MB, [column]: value } = rowOf(table, rows[kind]);
        return value === "" ? `${MB} MB` : `${MB} MB: ${value}`;
      };
      return [model, measure, cell("float"), cell("half"), cell("eight"), cell("four")];
    }),
  );
  return markdownTable(["model", "measure", "float32", "`fp16`", "`int8`", "`int4`, `q4`"], rows);
}
