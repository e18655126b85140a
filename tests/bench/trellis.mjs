// What a trellis gains: weights at steps of so many bits each, with and without one: the packed file, the error of all
// int8 weights together, and what was foreseen of both. `node tests/bench/trellis.mjs` after a build; names choose among
// "normal" (a million normal weights) and the real models.
import { readFile } from "node:fs/promises";
import { compare, pack, readTensor, shrink } from "modelshrink";
import { markdownTable } from "../support/markdown-table.mjs";
import { modelPaths } from "../support/models.mjs";
import { numbersBelow } from "../support/random.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const targets = [2.5, 3, 3.5, 4, 5];
const names = process.argv.length > 2 ? process.argv.slice(2) : ["normal", "recognition", "speech"];

/** A file of normal weights, by Box and Muller's method. */
function normalModel() {
  const below = numbersBelow(1);
  const uniform = () => (below(2 ** 24) + 1) / 2 ** 24;
  const data = Float32Array.from(
    { length: 2 ** 20 },
    () => 0.05 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
  return makeSafetensors([{ name: "weights", dtype: "F32", shape: [1024, 1024], data }]);
}

const sourceOf = async (name) =>
  name === "normal" ? normalModel() : new Uint8Array(await readFile(modelPaths[name]));

/** The signal to noise ratio in dB of all tensors together that are not what they were. */
async function sqnrOf(source, shrunk) {
  let [all, noise] = [0, 0];
  for (const { name, sqnr } of (await compare(source, shrunk)).tensors) {
    if (sqnr === undefined || sqnr === Infinity) continue;
    const { values } = await readTensor(source, name);
    const squares = values.reduce((sum, it) => sum + it * it, 0);
    all += squares;
    noise += squares / 10 ** (sqnr / 10);
  }
  return 10 * Math.log10(all / noise);
}

for (const name of names) {
  const source = await sourceOf(name);
  const rows = [];
  for (const bitsPerWeight of targets) {
    for (const trellis of [false, true]) {
      const { bytes, report } = await shrink(source, { target: { bitsPerWeight }, trellis });
      const shrunk = await bytes();
      const { report: packed } = await pack(shrunk);
      const sqnr = await sqnrOf(source, shrunk);
      rows.push([
        trellis ? `${bitsPerWeight}, trellis` : bitsPerWeight,
        ...[packed.outputBytes, report.rate.packedBytes],
        ...[sqnr.toFixed(2), report.rate.sqnr.toFixed(2)],
      ]);
    }
  }
  const head = ["bits a weight", "packed bytes", "foreseen", "SQNR dB", "foreseen"];
  console.log(`${name}\n${markdownTable(head, rows)}`);
}
