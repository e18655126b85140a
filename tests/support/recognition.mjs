// PP-OCRv4 text recognition: line image -> text, and the character error rate.
import { normalizedPlanes, resize } from "./images.mjs";

const INPUT_HEIGHT = 48;
const HALF = [0.5, 0.5, 0.5];

/** The recognizer's feed for one line image: [1, 3, 48, width], the aspect ratio kept. */
export function recognitionInput(image) {
  const width = Math.max(1, Math.ceil((image.width * INPUT_HEIGHT) / image.height));
  const scaled = resize(image, width, INPUT_HEIGHT);
  return { data: normalizedPlanes(scaled, HALF, HALF), dims: [1, 3, INPUT_HEIGHT, width] };
}

/** The classes of the last dimension: blank, the keys file's lines, a space. */
export function recognitionClasses(keysText) {
  return ["", ...keysText.replace(/\r?\n$/, "").split(/\r?\n/), " "];
}

/** Greedy CTC: the best class of each step, repetitions merged, blanks dropped. */
export function decodeCtc({ data, dims: [, steps, numClasses] }, classes) {
  if (numClasses !== classes.length) {
    throw new Error(`the model has ${numClasses} classes, the keys file makes ${classes.length}`);
  }
  let text = "";
  let previous = 0;
  for (let step = 0; step < steps; ++step) {
    const row = data.subarray(step * numClasses, (step + 1) * numClasses);
    let best = 0;
    for (let i = 1; i < numClasses; ++i) if (row[i] > row[best]) best = i;
    if (best !== previous) text += classes[best];
    previous = best;
  }
  return text;
}

/** Levenshtein distance in code points. */
export function editDistance(a, b) {
  const from = [...a];
  const to = [...b];
  let row = to.map((_, j) => j + 1);
  from.forEach((char, i) => {
    let diagonal = i;
    let left = i + 1;
    row = row.map((above, j) => {
      left = Math.min(above + 1, left + 1, diagonal + (char === to[j] ? 0 : 1));
      diagonal = above;
      return left;
    });
  });
  return row.length === 0 ? from.length : row.at(-1);
}

/** Sum of the edit distances divided by the number of reference characters. */
export function characterErrorRate(references, recognized) {
  let errors = 0;
  let characters = 0;
  references.forEach((reference, i) => {
    errors += editDistance(reference, recognized[i]);
    characters += [...reference].length;
  });
  return errors / characters;
}
