/** Sums over the outputs of two models, and the figures that they give. */

/** The distance between an output of two models, over all samples. */
export interface OutputComparison {
  /** The name of the output. */
  name: string;
  /** The signal to noise ratio in dB; Infinity when nothing differs. */
  sqnr: number;
  /** The cosine of the angle between both outputs, −1 to 1. */
  cosine: number;
  /** The largest difference of an element. */
  maxAbsError: number;
  /**
   * The number of values that are NaN or infinite in one model and not the same in the other; left out when none
   * is. The SQNR is then -Infinity and the cosine 0. Such values that are the same in both count as 0.
   */
  nonFinite?: number;
  /** The fraction of rows (along the last axis) whose largest value is the same one; left out for single values. */
  top1Agreement?: number;
}

/** The sums of one output over all samples, in float64. */
export class OutputSums {
  #xx = 0;
  #yy = 0;
  #xy = 0;
  #ee = 0;
  #max = 0;
  #nonFinite = 0;
  #rows = 0;
  #agreeing = 0;

  add(x: Float32Array, y: Float32Array, rowLength: number): void {
    for (const [i, a] of x.entries()) {
      const b = y[i]!;
      if (!Number.isFinite(a) || !Number.isFinite(b)) {
        this.#nonFinite += Object.is(a, b) ? 0 : 1;
        continue;
      }
      this.#xx += a * a;
      this.#yy += b * b;
      this.#xy += a * b;
      this.#ee += (a - b) ** 2;
      this.#max = Math.max(this.#max, Math.abs(a - b));
    }
    if (rowLength < 2) return;
    for (let start = 0; start < x.length; start += rowLength) {
      const best = (values: Float32Array) => {
        const row = values.subarray(start, start + rowLength);
        return row.indexOf(row.reduce((largest, value) => Math.max(largest, value), -Infinity));
      };
      this.#rows++;
      this.#agreeing += best(x) === best(y) ? 1 : 0;
    }
  }

  result(name: string): OutputComparison {
    const agreement = this.#rows > 0 ? { top1Agreement: this.#agreeing / this.#rows } : {};
    if (this.#nonFinite > 0) {
      const harm = { sqnr: -Infinity, cosine: 0, maxAbsError: Infinity };
      return { name, ...harm, nonFinite: this.#nonFinite, ...agreement };
    }
    const norm = Math.sqrt(this.#xx * this.#yy);
    const areZero = this.#xx === 0 && this.#yy === 0;
    return {
      name,
      sqnr: this.#ee === 0 ? Infinity : 10 * Math.log10(this.#xx / this.#ee),
      cosine: norm > 0 ? this.#xy / norm : areZero ? 1 : 0,
      maxAbsError: this.#max,
      ...agreement,
    };
  }
}
