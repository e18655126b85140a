// Models of very many tensors: the memory that the command takes, beside its limit, and its time. Writes the table of
// docs/benchmarks.md. `node tests/bench/tensors.mjs` after a build; with a format and a number of tensors it prints these
// alone.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { formatsOfMany } from "../support/many-tensors.mjs";
import { goalOf, measureTensors } from "../support/tensors-in-node.mjs";

const [, , onlyFormat, onlyCount] = process.argv;
const formats = onlyFormat === undefined ? formatsOfMany : [onlyFormat];
const counts = onlyCount === undefined ? [1000, 10_000, 100_000] : [Number(onlyCount)];
const megabytes = (bytes) => Math.round(bytes / 1e6);

const folder = await mkdtemp(join(tmpdir(), "modelshrink-tensors-"));
const rows = [];
try {
  for (const format of formats) {
    for (const count of counts) {
      const found = await measureTensors(format, count, folder);
      const [inspect, plan, shrink] = found.map(({ peakBytes }) => megabytes(peakBytes));
      const { headerBytes } = found[0];
      const [reading, shrinking] = ["plan", "shrink"].map((it) =>
        megabytes(goalOf(it, headerBytes)),
      );
      rows.push([
        ...[format, count, (headerBytes / 1e6).toFixed(1)],
        ...[inspect, plan, reading, shrink, shrinking],
      ]);
      const times = found.map(({ command, seconds }) => `${command} ${seconds.toFixed(1)} s`);
      console.log([...rows.at(-1), ...times].join("  "));
    }
  }
} finally {
  await rm(folder, { recursive: true });
}
const head = ["format", "tensors", "header MB", "inspect MB", "plan MB", "limit MB"];
const table = markdownTable([...head, "shrink MB", "limit MB"], rows);
if (onlyFormat === undefined) {
  await writeMeasured("bench-tensors", `Measured on ${machineName()}.\n\n${table}`);
}
