// The data of the benchmarks: weights like a layer's.

/**
 * Makes `count` weights, |x| < 0.125 and close to normal, and others a little off; calls `visit` with the number of each
 * and 32 bits that look random.
 */
export function makeWeights(count, visit) {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24 - 0.5;
  };
  const values = new Float32Array(count);
  const others = new Float32Array(count);
  for (let i = 0; i < count; ++i) {
    values[i] = (uniform() + uniform() + uniform() + uniform()) * 0.0625;
    others[i] = values[i] + uniform() * 0.001;
    visit(i, state, values[i]);
  }
  return { values, others };
}
