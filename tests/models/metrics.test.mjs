import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { countMatches, textBoxes } from "../support/detection.mjs";
import { crop, paste, resize } from "../support/images.mjs";
import { composePages, loadLines } from "../support/models.mjs";
import {
  characterErrorRate,
  compareLetters,
  decodeCtc,
  editDistance,
} from "../support/recognition.mjs";
import { decodeWav } from "../support/speech.mjs";

test("edit distance counts insertions, deletions and replacements of code points", () => {
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("abc", ""), 3);
  assert.equal(editDistance("flaw", "lawn"), 2);
  assert.equal(editDistance("今天𠮷", "今夜𠮷"), 1);
});

test("letters that were read otherwise are told from those that were not", () => {
  const shown = (written, read) =>
    compareLetters(written, read).map(({ text, differs }) => (differs ? `[${text}]` : text));
  assert.deepEqual(shown("boat", "boat"), ["b", "o", "a", "t"]);
  assert.deepEqual(shown("boat", "bat"), ["b", "[]", "a", "t"]);
  assert.deepEqual(shown("bat", "bo𠮷t"), ["b", "[o]", "[𠮷]", "t"]);
  assert.deepEqual(shown("", "a"), ["[a]"]);
  assert.deepEqual(shown("ab", ""), ["[]", "[]"]);
});

test("the character error rate is weighted by length", () => {
  assert.equal(characterErrorRate(["ab", "abcdefgh"], ["xx", "abcdefgh"]), 0.2);
});

test("greedy CTC merges repetitions and drops blanks", () => {
  const steps = [1, 1, 0, 1, 2, 2, 0];
  const data = new Float32Array(steps.length * 3);
  steps.forEach((best, step) => (data[step * 3 + best] = step === 0 ? 0.25 : 1));
  const read = decodeCtc({ data, dims: [1, steps.length, 3] }, ["", "a", "b"]);
  assert.deepEqual(read, { text: "aab", confidence: 0.75 });
  assert.throws(() => decodeCtc({ data, dims: [1, 7, 3] }, ["", "a"]), /3 classes/);
});

test("text boxes: one for each confident region, grown by the unclip ratio", () => {
  const [width, height] = [40, 20];
  const data = new Float32Array(width * height);
  const fill = (left, top, right, bottom, value) => {
    for (let y = top; y < bottom; ++y) data.fill(value, y * width + left, y * width + right);
  };
  fill(4, 5, 14, 9, 0.9);
  fill(20, 5, 30, 9, 0.5); // Too faint.
  fill(20, 14, 30, 16, 0.9); // Too flat.
  const grow = (10 * 4 * 1.5) / 28;
  assert.deepEqual(textBoxes({ data, dims: [1, 1, height, width] }), [
    [4 - grow, 5 - grow, 14 + grow, 9 + grow],
  ]);
});

test("a found box serves one known box only, at IoU 0.5 or more", () => {
  const box = [0, 0, 10, 10];
  assert.equal(countMatches([box, box], [box]), 1);
  assert.equal(countMatches([box], [[0, 0, 10, 20]]), 1);
  assert.equal(countMatches([box], [[0, 0, 10, 21]]), 0);
  assert.equal(countMatches([box], [[20, 20, 30, 30]]), 0);
});

test("resize keeps a constant and interpolates between pixel centers", () => {
  const constant = { width: 3, height: 2, pixels: new Uint8Array(6).fill(77) };
  assert.deepEqual(resize(constant, 7, 5).pixels, new Uint8Array(35).fill(77));
  const ramp = { width: 2, height: 1, pixels: Uint8Array.of(0, 100) };
  assert.deepEqual(resize(ramp, 4, 1).pixels, Uint8Array.of(0, 25, 75, 100));
});

test("crop undoes paste", () => {
  const page = { width: 5, height: 4, pixels: new Uint8Array(20) };
  const image = { width: 2, height: 2, pixels: Uint8Array.of(1, 2, 3, 4) };
  paste(image, page, 3, 1);
  assert.deepEqual(crop(page, 3, 1, 2, 2), image);
});

test("a WAV of another rate is refused", () => {
  const bytes = readFileSync(new URL("../support/fixtures/speech.wav", import.meta.url));
  const samples = decodeWav(bytes);
  assert.equal(samples.length, (bytes.length - 44) / 2);
  assert.equal(samples[1000], bytes.readInt16LE(2044) / 32768);
  bytes.writeUInt32LE(22050, 24);
  assert.throws(() => decodeWav(bytes), /not a 16 kHz/);
});

test("the fixtures are at least 64 lines, in several fonts, sizes and styles", () => {
  const lines = loadLines();
  const distinct = (key) => new Set(lines.map((line) => line[key])).size;
  assert.ok(lines.length >= 64);
  assert.equal(distinct("text"), lines.length);
  assert.ok(distinct("font") >= 8 && distinct("size") >= 5 && distinct("style") >= 5);
});

test("pages hold every dark-on-light line once, and the boxes all of the ink", () => {
  const lines = loadLines();
  const boxesOf = (pages) => pages.flatMap(({ boxes }) => boxes).length;
  const inverted = lines.filter(({ style }) => style === "inverted");
  assert.equal(boxesOf(composePages(lines)), lines.length - inverted.length);

  const plain = lines.filter(({ style }) => style === "plain");
  const pages = composePages(plain);
  assert.equal(boxesOf(pages), plain.length);
  for (const { image, boxes } of pages) {
    for (const [left, top, right, bottom] of boxes) {
      const box = crop(image, left, top, right - left, bottom - top);
      assert.ok(Math.min(...box.pixels) < 100);
      paste({ ...box, pixels: box.pixels.fill(255) }, image, left, top);
    }
    assert.ok(image.pixels.every((value) => value === 255));
  }
});
