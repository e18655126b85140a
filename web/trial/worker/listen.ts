/** Silero VAD listens to a sentence with silence around it, by the original and by the small model. */
import { soundSamples } from "../sound.js";
import { framesOf } from "../speech.mjs";
import { median } from "../times.js";
import type { Hearing, Pair } from "../protocol.js";
import type { Session } from "./onnxruntime.js";

async function hear(session: Session, samples: Float32Array) {
  const probabilities: number[] = [];
  const times: number[] = [];
  let last = performance.now();
  for await (const { probability } of framesOf(session, samples)) {
    const now = performance.now();
    probabilities.push(probability);
    times.push(now - last);
    last = now;
  }
  return { probabilities, milliseconds: median(times) };
}

/** Gives what both models hear. */
export async function listen(
  { original, small }: Pair<Session>,
  onProgress: (fraction: number) => void,
): Promise<Hearing> {
  const samples = await soundSamples();
  const was = await hear(original, samples);
  onProgress(0.5);
  const is = await hear(small, samples);
  return {
    probabilities: { original: was.probabilities, small: is.probabilities },
    milliseconds: { original: was.milliseconds, small: is.milliseconds },
  };
}
