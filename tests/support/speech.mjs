// Silero VAD v5: samples at 16 kHz -> speech probability of each frame.
import { framesOf } from "../../web/trial/speech.mjs";

export { decodeWav, quietNoise, speechProbabilities } from "../../web/trial/speech.mjs";

/** The samples that this model sees of some sound, its own states among them. */
export async function speechFeeds(session, samples) {
  const all = [];
  for await (const { feeds } of framesOf(session, samples)) all.push(feeds);
  return all;
}
