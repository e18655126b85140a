// The README's headline figures, taken from the tables that `npm run evaluate` and `npm run bench` wrote.

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
