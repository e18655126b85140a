/** The sound that voice detectors are tried on: a spoken sentence with a second of quiet noise before and after it. */
import clip from "../../tests/support/fixtures/speech.wav?url";
import { decodeWav, quietNoise } from "./speech.mjs";

const quietSamples = 16000;

/** Gives the samples at 16 kHz. */
export async function soundSamples(): Promise<Float32Array> {
  const response = await fetch(clip);
  if (!response.ok) throw new Error(`The sound could not be loaded: status ${response.status}.`);
  const spoken = decodeWav(new Uint8Array(await response.arrayBuffer()));
  const samples = quietNoise(spoken.length + 2 * quietSamples);
  for (const [i, sample] of spoken.entries()) samples[quietSamples + i]! += sample;
  return samples;
}
