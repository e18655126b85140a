/** Scales images as Pillow's BILINEAR does: a triangle filter, as wide as the pixels of the smaller image. */

/** An image, one plane of width · height values for each channel, row by row. */
export interface Pixels {
  width: number;
  height: number;
  planes: readonly Float32Array[];
}

/** The values that one value of the result takes, from `first` on, and the weight of each. */
interface Taps {
  first: number;
  weights: number[];
}

function tapsOf(from: number, to: number): Taps[] {
  const scale = from / to;
  const radius = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - radius + 0.5));
    const end = Math.min(from, Math.floor(center + radius + 0.5));
    const raw = Array.from({ length: end - first }, (_, k) =>
      Math.max(0, 1 - Math.abs(first + k + 0.5 - center) / radius),
    );
    const sum = raw.reduce((all, it) => all + it, 0);
    return { first, weights: raw.map((it) => it / sum) };
  });
}

/** Scales each row of `plane` from `width` values to as many as there are taps, and turns rows into columns. */
function scaledTransposed(plane: Float32Array, width: number, taps: readonly Taps[]): Float32Array {
  const numRows = plane.length / width;
  const result = new Float32Array(numRows * taps.length);
  for (const [x, { first, weights }] of taps.entries()) {
    for (let y = 0; y < numRows; y++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) {
        sum += weights[k]! * plane[y * width + first + k]!;
      }
      result[x * numRows + y] = sum;
    }
  }
  return result;
}

/** The image in another size. */
export function resized(
  { width, height, planes }: Pixels,
  size: { width: number; height: number },
): Pixels {
  const across = tapsOf(width, size.width);
  const down = tapsOf(height, size.height);
  return {
    ...size,
    planes: planes.map((plane) =>
      scaledTransposed(scaledTransposed(plane, width, across), height, down),
    ),
  };
}
