// What a text recognizer's output says, and how far that is from what was written. Tests measure with it, too.

/** The classes of the last dimension: blank, the keys file's lines, a space. */
export function recognitionClasses(/** @type {string} */ keysText) {
  return ["", ...keysText.replace(/\r?\n$/, "").split(/\r?\n/), " "];
}

/**
 * Greedy CTC: the best class of each step, repetitions merged, blanks dropped. The confidence is the mean probability of
 * the classes that became letters; 0 where none did.
 *
 * @param {{ data: Float32Array, dims: readonly number[] }} output [1, steps, classes]
 * @param {readonly string[]} classes
 * @returns {{ text: string, confidence: number }}
 */
export function decodeCtc({ data, dims: [, steps = 0, numClasses = 0] }, classes) {
  if (numClasses !== classes.length) {
    throw new Error(`the model has ${numClasses} classes, the keys file makes ${classes.length}`);
  }
  let text = "";
  let previous = 0;
  let sum = 0;
  let letters = 0;
  for (let step = 0; step < steps; ++step) {
    const row = data.subarray(step * numClasses, (step + 1) * numClasses);
    let best = 0;
    for (let i = 1; i < numClasses; ++i) if (row[i] > row[best]) best = i;
    if (best !== previous && best !== 0) {
      text += classes[best];
      sum += row[best];
      letters++;
    }
    previous = best;
  }
  return { text, confidence: letters > 0 ? sum / letters : 0 };
}

/**
 * Levenshtein distances of all beginnings, in code points: `[i][j]` is that of the first i of `from` and the first j
 * of `to`.
 *
 * @param {readonly string[]} from
 * @param {readonly string[]} to
 */
function distances(from, to) {
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)];
  for (const [i, char] of from.entries()) {
    const above = rows[i];
    const row = [i + 1];
    for (const [j, other] of to.entries()) {
      row.push(Math.min(above[j + 1] + 1, row[j] + 1, above[j] + (char === other ? 0 : 1)));
    }
    rows.push(row);
  }
  return rows;
}

/** Levenshtein distance in code points. */
export function editDistance(/** @type {string} */ a, /** @type {string} */ b) {
  return distances([...a], [...b])
    .at(-1)
    .at(-1);
}

/**
 * The code points of what was read, each with whether it differs from what was written. What was left out is an empty
 * text that differs.
 *
 * @param {string} written
 * @param {string} read
 * @returns {{ text: string, differs: boolean }[]}
 */
export function compareLetters(written, read) {
  const [from, to] = [[...written], [...read]];
  const rows = distances(from, to);
  const letters = [];
  let [i, j] = [from.length, to.length];
  while (i > 0 || j > 0) {
    const here = rows[i][j];
    const isSame = i > 0 && j > 0 && from[i - 1] === to[j - 1];
    if (i > 0 && j > 0 && here === rows[i - 1][j - 1] + (isSame ? 0 : 1)) {
      letters.push({ text: to[--j], differs: !isSame });
      i--;
    } else if (j > 0 && here === rows[i][j - 1] + 1) {
      letters.push({ text: to[--j], differs: true });
    } else {
      letters.push({ text: "", differs: true });
      i--;
    }
  }
  return letters.reverse();
}

/**
 * Sum of the edit distances divided by the number of reference characters.
 *
 * @param {readonly string[]} references
 * @param {readonly string[]} recognized
 * @returns {number}
 */
export function characterErrorRate(references, recognized) {
  let errors = 0;
  let characters = 0;
  references.forEach((reference, i) => {
    errors += editDistance(reference, recognized[i]);
    characters += [...reference].length;
  });
  return errors / characters;
}
