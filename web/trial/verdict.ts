/** Verdicts in plain words, and the bounds that they stand on. */
import type { Report } from "modelshrink";
import { visible } from "modelshrink/text";
import type { Hearing, OutputsComparison } from "./protocol.js";

/** "none": nothing was tried, so nothing is known. */
export type Level = "good" | "check" | "bad" | "none";

export interface Verdict {
  level: Level;
  words: string;
}

/** Shows a verdict; hides its place where there is none. */
export function showVerdict(place: HTMLElement, verdict: Verdict | undefined): void {
  place.hidden = verdict === undefined;
  place.dataset["level"] = verdict?.level ?? "none";
  place.textContent = verdict ? visible(`${verdict.words}.`) : "";
}

/** The most by which the error rate of reading may grow. */
const reading = { asBefore: 0.01, little: 0.05, clear: 0.2 };

export const readingBounds =
  `As before: at most ${reading.asBefore} more wrong letters per letter than before; a little worse: ` +
  `at most ${reading.little}; clearly worse: at most ${reading.clear}; ruined: more.`;

/** Judges the error rates of reading, of the original and of the small model. */
export function judgeReading(was: number, is: number): Verdict {
  const rates = `error rate ${is.toFixed(3)}, was ${was.toFixed(3)}`;
  const more = is - was;
  if (more <= reading.asBefore) return { level: "good", words: `Reads as before (${rates})` };
  if (more <= reading.little) return { level: "check", words: `Reads a little worse (${rates})` };
  if (more <= reading.clear) return { level: "bad", words: `Reads clearly worse (${rates})` };
  return { level: "bad", words: `Ruined: ${rates}` };
}

/** A frame of at least this probability is speech. */
const isSpeech = (probability: number): boolean => probability >= 0.5;

const hearing = { asBefore: 0.99, little: 0.95, clear: 0.8, largest: 0.3 };
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

export const hearingBounds =
  `A moment counts as speech from a probability of 0.5 on. As before: at least ${percent(hearing.asBefore)} of the ` +
  `moments are decided alike and no probability is off by more than ${hearing.largest}; a little otherwise: at ` +
  `least ${percent(hearing.little)}; clearly worse: at least ${percent(hearing.clear)}; ruined: less.`;

/** Judges two lists of probabilities, of the same moments. */
export function judgeHearing({ original, small }: Hearing["probabilities"]): Verdict {
  let [alike, largest] = [0, 0];
  for (const [i, was] of original.entries()) {
    const is = small[i] ?? NaN;
    if (isSpeech(was) === isSpeech(is)) alike++;
    largest = Math.max(largest, Math.abs(was - is));
  }
  const share = alike / original.length;
  const figures =
    `${percent(share)} of ${original.length} moments decided alike, ` +
    `largest difference ${largest.toFixed(3)}`;
  if (share >= hearing.asBefore && largest <= hearing.largest) {
    return { level: "good", words: `Hears as before (${figures})` };
  }
  if (share >= hearing.little)
    return { level: "check", words: `Hears a little otherwise (${figures})` };
  if (share >= hearing.clear) return { level: "bad", words: `Hears clearly worse (${figures})` };
  return { level: "bad", words: `Ruined: ${figures}` };
}

const cosines = { asBefore: 0.999, check: 0.98 };

export const outputsBounds =
  `By the output that changes most. As before: its cosine with the original's is at least ${cosines.asBefore}; check ` +
  `it: at least ${cosines.check}; harmed: less.`;

/** Judges outputs by the worst of them. */
export function judgeOutputs({ outputs }: OutputsComparison): Verdict {
  const worst = outputs.reduce((low, it) => (it.cosine < low.cosine ? it : low));
  // Rounding up would say more than is true.
  const shown = (Math.floor(worst.cosine * 1e5) / 1e5).toFixed(5);
  const figures = `cosine ${shown} of the output “${worst.name}”`;
  if (worst.cosine >= cosines.asBefore) {
    return { level: "good", words: `Answers as before: ${figures}` };
  }
  if (worst.cosine >= cosines.check) return { level: "check", words: `Check it: ${figures}` };
  return { level: "bad", words: `Harmed: ${figures}` };
}

/** In dB, of the worst tensor. */
const closeWeights = 30;

export const weightsBounds =
  "The model itself was not run: browsers have no runtime for this format. The verdict is about its numbers. Close: " +
  `no tensor has a signal to noise ratio (SQNR) under ${closeWeights} dB; check it: one has.`;

/** Judges the weights of a report, where the model cannot be run. */
export function judgeWeights({ tensors }: Report): Verdict {
  const judged = tensors.flatMap(({ name, sqnr }) => (sqnr === undefined ? [] : [{ name, sqnr }]));
  const [first, ...others] = judged;
  if (!first)
    return { level: "none", words: "No tensor was changed in a way that can be measured" };
  const worst = others.reduce((low, it) => (it.sqnr < low.sqnr ? it : low), first);
  if (worst.sqnr === Infinity) return { level: "good", words: "Exact: every number is as before" };
  const figures = `SQNR ${worst.sqnr.toFixed(1)} dB of the tensor “${worst.name}”`;
  return worst.sqnr >= closeWeights
    ? { level: "good", words: `Close to the original: ${figures}` }
    : { level: "check", words: `Check it: ${figures}` };
}
