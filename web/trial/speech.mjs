// Sound for Silero VAD v5, and the speech probability of each of its frames. Tests measure with it, too.
const SAMPLE_RATE = 16000;
const FRAME = 512;
const CONTEXT = 64;

/** The length of a frame in seconds. */
export const frameSeconds = FRAME / SAMPLE_RATE;

/** Float32Array in [-1, 1) of a 16 kHz mono 16-bit WAV file with the plain 44-byte header. */
export function decodeWav(/** @type {Uint8Array} */ bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [channels, rate, bits] = [
    view.getUint16(22, true),
    view.getUint32(24, true),
    view.getUint16(34, true),
  ];
  if (channels !== 1 || rate !== SAMPLE_RATE || bits !== 16)
    throw new Error("not a 16 kHz mono 16-bit WAV");
  return Float32Array.from(
    { length: view.getUint32(40, true) >> 1 },
    (_, i) => view.getInt16(44 + 2 * i, true) / 32768,
  );
}

/** Room noise, about 60 dB below full scale, from a fixed pseudo-random sequence. */
export function quietNoise(/** @type {number} */ count) {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * 0.001;
  });
}

/** @typedef {{ data: Float32Array | BigInt64Array, dims: readonly number[] }} Value */
/** @typedef {{ run(feeds: Record<string, Value>): Promise<Record<string, Value>> }} Session */

/**
 * What each whole frame feeds the model, and what it gives: every frame with the end of the one before it.
 *
 * @param {Session} session
 * @param {Float32Array} samples
 */
export async function* framesOf(session, samples) {
  /** @type {Value} */
  let state = { data: new Float32Array(2 * 128), dims: [2, 1, 128] };
  const sr = { data: BigInt64Array.of(BigInt(SAMPLE_RATE)), dims: [] };
  const input = new Float32Array(CONTEXT + FRAME);
  for (let start = 0; start + FRAME <= samples.length; start += FRAME) {
    input.copyWithin(0, FRAME);
    input.set(samples.subarray(start, start + FRAME), CONTEXT);
    const feeds = { input: { data: input.slice(), dims: [1, input.length] }, state, sr };
    const { output, stateN } = await session.run(feeds);
    yield { feeds, probability: Number(output.data[0]) };
    state = { data: stateN.data, dims: stateN.dims };
  }
}

/**
 * One probability for each whole frame.
 *
 * @param {Session} session
 * @param {Float32Array} samples
 */
export async function speechProbabilities(session, samples) {
  /** @type {number[]} */
  const probabilities = [];
  for await (const { probability } of framesOf(session, samples)) probabilities.push(probability);
  return probabilities;
}
