// What `npm start` shows last: the recognizer still reads the committed lines after shrinking.
import { loadLines, recognizeLines } from "../tests/support/models.mjs";
import { nodeRuntime } from "../tests/support/runtimes.mjs";

async function read(runtime, bytes, lines) {
  const session = await runtime.open(bytes);
  const { texts, cer } = await recognizeLines(session, lines);
  await session.release();
  return { texts, cer };
}

/**
 * Reads the lines with both models, prints a few of them and the character error rates.
 * @param {Uint8Array} beforeBytes the PP-OCRv4 recognizer
 * @param {Uint8Array} afterBytes the same model, shrunk
 * @returns {Promise<{ lines: number, before: number, after: number }>} the character error rates
 */
export async function ocrCheck(beforeBytes, afterBytes) {
  const lines = loadLines();
  const runtime = await nodeRuntime();
  const before = await read(runtime, beforeBytes, lines);
  const after = await read(runtime, afterBytes, lines);
  console.log(`${lines.length} rendered lines, read with ${runtime.name} ${runtime.version}:`);
  for (let i = 0; i < lines.length; i += Math.ceil(lines.length / 6)) {
    const text = after.texts[i];
    console.log(`  ${text === lines[i].text ? "✔" : "✖"} ${text}`);
  }
  const percent = (rate) => `${(100 * rate).toFixed(2)} %`;
  console.log(`Character error rate: ${percent(before.cer)} before, ${percent(after.cer)} after.`);
  return { lines: lines.length, before: before.cer, after: after.cer };
}
