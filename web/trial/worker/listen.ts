/** Silero VAD listens to a sentence with silence around it, by the original and by the small model. */
import { soundSamples } from "../sound.js";
import { speechProbabilities } from "../speech.mjs";
import type { Hearing, Pair } from "../protocol.js";
import type { Session } from "./onnxruntime.js";

async function hear(session: Session, samples: Float32Array) {
  const start = performance.now();
  const probabilities = await speechProbabilities(session, samples);
  return { probabilities, milliseconds: (performance.now() - start) / probabilities.length };
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
