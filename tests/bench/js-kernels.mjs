// The same work in plain JavaScript, written as fast as V8 allows: typed arrays, no calls in loops but
// Math's, several accumulators. Of several ways to write each the fastest is here.
const { fround, max, min, abs } = Math;
// Adding and subtracting it rounds a double of moderate size to an integer, half to even.
const ROUND = 1.5 * 2 ** 52;

export function absMax(x) {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < x.length; i += 4) {
    a = max(a, abs(x[i]));
    b = max(b, abs(x[i + 1]));
    c = max(c, abs(x[i + 2]));
    d = max(d, abs(x[i + 3]));
  }
  return max(a, b, c, d);
}

export function minMax(x) {
  let [low0, low1, high0, high1] = [0, 0, 0, 0];
  for (let i = 0; i < x.length; i += 2) {
    low0 = min(low0, x[i]);
    high0 = max(high0, x[i]);
    low1 = min(low1, x[i + 1]);
    high1 = max(high1, x[i + 1]);
  }
  return [min(low0, low1), max(high0, high1)];
}

export function quantizeUint8(x, scale, zeroPoint, codes) {
  for (let i = 0; i < x.length; ++i) {
    const code = ((fround(x[i] / scale) + ROUND - ROUND) | 0) + zeroPoint;
    codes[i] = code < 0 ? 0 : code > 255 ? 255 : code;
  }
}

export function quantizeInt8(x, scale, codes) {
  for (let i = 0; i < x.length; ++i) {
    codes[i] = max(-128, min(127, fround(x[i] / scale) + ROUND - ROUND));
  }
}

export function minMaxQuantizeUint8(x, codes) {
  const [low, high] = minMax(x);
  const scale = fround((high - low) / 255);
  quantizeUint8(x, scale, Math.round(-low / scale), codes);
}

export function quantizeRowsInt8(x, columns, codes) {
  for (let start = 0; start < x.length; start += columns) {
    const row = x.subarray(start, start + columns);
    quantizeInt8(row, fround((2 * absMax(row)) / 254), codes.subarray(start, start + columns));
  }
}

export function quantizeBlocksInt4(x, blockSize, scales, packed) {
  for (let block = 0, start = 0; start < x.length; ++block, start += blockSize) {
    let most = 0;
    for (let i = start; i < start + blockSize; ++i) most = max(most, abs(x[i]));
    const scale = fround((2 * most) / 15);
    scales[block] = scale;
    for (let i = start; i < start + blockSize; i += 2) {
      const low = max(-8, min(7, fround(x[i] / scale) + ROUND - ROUND));
      const high = max(-8, min(7, fround(x[i + 1] / scale) + ROUND - ROUND));
      packed[i >> 1] = (low & 15) | (high << 4);
    }
  }
}

export function dequantizeUint8(codes, scale, zeroPoint, out) {
  for (let i = 0; i < codes.length; ++i) out[i] = (codes[i] - zeroPoint) * scale;
}

/** `bits` are the floats' bit patterns. */
export function toFloat16(bits, halves) {
  for (let i = 0; i < bits.length; ++i) {
    const sign = (bits[i] >>> 16) & 0x8000;
    const magnitude = bits[i] & 0x7fffffff;
    if (magnitude >= 0x38800000 && magnitude < 0x47800000) {
      halves[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    } else if (magnitude < 0x38800000) {
      const shift = min(126 - (magnitude >>> 23), 31);
      const mantissa = (magnitude & 0x7fffff) | 0x800000;
      const half = (1 << (shift - 1)) - 1 + ((mantissa >>> shift) & 1);
      halves[i] = sign | (shift > 25 ? 0 : (mantissa + half) >>> shift);
    } else {
      halves[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    }
  }
}

export function toBfloat16(bits, halves) {
  for (let i = 0; i < bits.length; ++i) {
    const value = bits[i];
    const isNan = (value & 0x7fffffff) > 0x7f800000;
    halves[i] = isNan
      ? ((value >>> 16) & 0x8000) | 0x7fc0
      : (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
  }
}

/** The bits of the k-th smallest |x|: a histogram of the high bits, then one of the low bits. */
export function selectMagnitude(bits, k) {
  const histogram = new Uint32Array(1 << 16);
  for (let i = 0; i < bits.length; ++i) histogram[(bits[i] & 0x7fffffff) >>> 15]++;
  let bin = 0;
  let rank = k;
  while (rank >= histogram[bin]) rank -= histogram[bin++];
  const lows = new Uint32Array(1 << 15);
  for (let i = 0; i < bits.length; ++i) {
    const magnitude = bits[i] & 0x7fffffff;
    if (magnitude >>> 15 === bin) lows[magnitude & 0x7fff]++;
  }
  let low = 0;
  while (rank >= lows[low]) rank -= lows[low++];
  return (bin << 15) | low;
}

/** Without ties at the threshold; `bits` and `outBits` are the floats' bit patterns. */
export function pruneMagnitude(bits, count, outBits, mask) {
  const threshold = selectMagnitude(bits, count);
  for (let i = 0; i < bits.length; ++i) {
    const keep = (bits[i] & 0x7fffffff) >= threshold ? 1 : 0;
    mask[i] = keep;
    outBits[i] = bits[i] & -keep;
  }
}

export function applyMask(bits, mask, outBits) {
  for (let i = 0; i < bits.length; ++i) outBits[i] = bits[i] & -mask[i];
}

export function errorStats(a, b) {
  let [squares, otherSquares, products, errors, sum, most, zeros] = [0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < a.length; ++i) {
    const x = a[i];
    const y = b[i];
    const error = abs(x - y);
    squares += x * x;
    otherSquares += y * y;
    products += x * y;
    errors += error * error;
    sum += error;
    most = max(most, error);
    zeros += y === 0 ? 1 : 0;
  }
  return { squares, otherSquares, products, errors, sum, most, zeros };
}
