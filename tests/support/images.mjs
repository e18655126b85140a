// Grayscale images and the little image processing that the OCR models' own pipelines do.
import { PNG } from "pngjs";

/** {width, height, pixels: Uint8Array} of a PNG file's bytes. */
export function decodeGray(pngBytes) {
  const { width, height, data } = PNG.sync.read(Buffer.from(pngBytes));
  const pixels = new Uint8Array(width * height);
  for (let i = 0; i < pixels.length; ++i) pixels[i] = data[4 * i];
  return { width, height, pixels };
}

export function crop({ width: stride, pixels }, left, top, width, height) {
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; ++y) {
    const start = (top + y) * stride + left;
    out.set(pixels.subarray(start, start + width), y * width);
  }
  return { width, height, pixels: out };
}

export function paste(image, onto, left, top) {
  for (let y = 0; y < image.height; ++y) {
    const row = image.pixels.subarray(y * image.width, (y + 1) * image.width);
    onto.pixels.set(row, (top + y) * onto.width + left);
  }
}

/** Source positions and weights of a bilinear resampling, pixel centers aligned as in OpenCV. */
function linearTaps(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const position = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const low = Math.floor(position);
    return { low, high: Math.min(low + 1, from - 1), weight: position - low };
  });
}

export function resize(image, width, height) {
  const columns = linearTaps(image.width, width);
  const pixels = new Uint8Array(width * height);
  linearTaps(image.height, height).forEach((row, y) => {
    const top = row.low * image.width;
    const bottom = row.high * image.width;
    columns.forEach(({ low, high, weight }, x) => {
      const mix = (start) =>
        image.pixels[start + low] * (1 - weight) + image.pixels[start + high] * weight;
      pixels[y * width + x] = Math.round(mix(top) * (1 - row.weight) + mix(bottom) * row.weight);
    });
  });
  return { width, height, pixels };
}

/** Float32Array [3, height, width]: the gray channel three times, (v / 255 - mean[c]) / std[c]. */
export function normalizedPlanes({ pixels }, mean, std) {
  const planes = new Float32Array(3 * pixels.length);
  for (let c = 0; c < 3; ++c) {
    const plane = planes.subarray(c * pixels.length, (c + 1) * pixels.length);
    for (let i = 0; i < pixels.length; ++i) plane[i] = (pixels[i] / 255 - mean[c]) / std[c];
  }
  return planes;
}
