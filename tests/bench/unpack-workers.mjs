// How fast unpack() is with workers, beside this thread alone: of 256 MiB of int8 weights in rows of other scales, from a
// file into nothing, in interleaved rounds. Prints MB/s of the fastest of five rounds, and the ratios to no workers; also
// of the processor's time, which other programs on the machine change less.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack, unpack } from "modelshrink/pack";
import { machineName } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const rounds = 5;
const columns = 4096;
const size = 1 << 28;

function weights() {
  const codes = new Int8Array(size);
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let begin = 0; begin < size; begin += columns) {
    const scale = 20 + 60 * random();
    for (let i = begin; i < begin + columns; ++i) {
      codes[i] = Math.round((random() + random() + random() - 1.5) * scale);
    }
  }
  return new Uint8Array(codes.buffer);
}

const folder = await mkdtemp(join(tmpdir(), "unpack-workers-"));
const packed = join(folder, "w.mspk");
const model = makeSafetensors([
  { name: "w", dtype: "I8", shape: [size / columns, columns], data: weights() },
]);
const { report } = await pack({ "w.safetensors": model }, { sink: packed });
const cases = [true, false].flatMap((sha256) => [0, 1, 2].map((workers) => ({ sha256, workers })));
const best = cases.map(() => ({ wall: Infinity, processor: Infinity }));
for (let round = 0; round < rounds; ++round) {
  for (const [i, options] of cases.entries()) {
    let bytes = 0;
    const sink = new WritableStream({ write: (piece) => void (bytes += piece.length) });
    const before = process.cpuUsage();
    const start = performance.now();
    await unpack(packed, { ...options, sink });
    best[i].wall = Math.min(best[i].wall, performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    best[i].processor = Math.min(best[i].processor, (user + system) / 1000);
    if (bytes !== model.length) throw new Error(`${bytes} bytes came back`);
  }
}
await rm(folder, { recursive: true });
const rows = cases.map(({ sha256, workers }, i) => {
  const alone = best[cases.findIndex((it) => it.sha256 === sha256 && it.workers === 0)];
  return [
    ...[sha256 ? "yes" : "no", String(workers)],
    (model.length / best[i].wall / 1000).toFixed(0),
    `${(alone.wall / best[i].wall).toFixed(2)} ×`,
    `${(best[i].processor / alone.processor).toFixed(2)} ×`,
  ];
});
const header = ["SHA-256", "workers", "MB/s", "ratio", "processor's time"];
console.log(`${report.inputBytes} bytes, packed ${report.outputBytes}, on ${machineName()}.\n`);
console.log(markdownTable(header, rows));
