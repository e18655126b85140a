// The first thing a newcomer sees: a real text recognizer shrunk by the command, and whether it still reads.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { modelPaths } from "../tests/support/models.mjs";
import { root, runOrExit } from "../tests/support/run.mjs";
import { ocrCheck } from "./start-check.mjs";

// What the int8 recipe promises on this model.
const maxMegabytes = 2.9;
const maxLoss = 0.025;

const shrunk = join(root, "build/ch_PP-OCRv4_rec_infer.int8.onnx");
const megabytes = (bytes) => `${(bytes.length / 1e6).toFixed(2)} MB`;

await mkdir(join(root, "build"), { recursive: true });
console.log("$ modelshrink shrink ch_PP-OCRv4_rec_infer.onnx -o ch_PP-OCRv4_rec_infer.int8.onnx\n");
const args = ["dist/cli.js", "shrink", modelPaths.recognition, "-o", shrunk, "--recipe", "int8"];
await runOrExit(process.execPath, args, { verbose: true });

console.log();
const before = await readFile(modelPaths.recognition);
const after = await readFile(shrunk);
const rates = await ocrCheck(before, after);
console.log(`File: ${megabytes(before)} before, ${megabytes(after)} after (build/).`);
console.log(
  "\nNext: npm run demo serves the page; npm pack makes the package (README.md, Install); npm test.",
);
if (after.length > maxMegabytes * 1e6 || rates.after - rates.before > maxLoss) {
  console.error(`Expected at most ${maxMegabytes} MB and ${maxLoss} more character errors.`);
  process.exitCode = 1;
}
