/** Weights counted by value, before and after. */

export interface Counted {
  /** The number of weights in each bin. */
  counts: number[];
  numValues: number;
  min: number;
  max: number;
  mean: number;
  /** The standard deviation. */
  deviation: number;
  zeros: number;
}

export interface Histogram {
  /** Where the bins begin and end; all are equally wide. */
  from: number;
  to: number;
  before: Counted;
  /** Left out where nothing was written yet. */
  after?: Counted;
}

const numBins = 72;

type Summary = Omit<Counted, "counts">;

/** Counts what is finite. */
function summaryOf(values: Float32Array): Summary {
  let [min, max, sum, squares, zeros, numValues] = [Infinity, -Infinity, 0, 0, 0, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    if (value === 0) zeros++;
    sum += value;
    squares += value * value;
    numValues++;
  }
  const mean = numValues > 0 ? sum / numValues : 0;
  const variance = numValues > 0 ? squares / numValues - mean * mean : 0;
  const range = numValues > 0 ? { min, max } : { min: 0, max: 0 };
  return { ...range, zeros, mean, numValues, deviation: Math.sqrt(Math.max(0, variance)) };
}

function countsOf(values: Float32Array, from: number, to: number): number[] {
  const counts = new Array<number>(numBins).fill(0);
  const scale = to > from ? numBins / (to - from) : 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    const bin = Math.min(numBins - 1, Math.floor((value - from) * scale));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

/** Counts both in the same bins. */
export function histogramOf(before: Float32Array, after: Float32Array | undefined): Histogram {
  const first = summaryOf(before);
  const second = after && summaryOf(after);
  const from = Math.min(first.min, second?.min ?? first.min);
  const to = Math.max(first.max, second?.max ?? first.max);
  return {
    from,
    to,
    before: { ...first, counts: countsOf(before, from, to) },
    ...(after && second ? { after: { ...second, counts: countsOf(after, from, to) } } : {}),
  };
}
