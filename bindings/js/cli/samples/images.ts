/** Images as inputs of models. */
import { FormatError, ModelShrinkError, UnsupportedError } from "../../base/errors.js";
import { importForUser } from "../user-module.js";
import type { SampleArray } from "./arrays.js";
import { resized, type Pixels } from "./resize.js";

/** How an image becomes an input. */
export interface ImageOptions {
  size: { width: number; height: number } | undefined;
  channels: "rgb" | "bgr" | "gray";
  /** One for each channel: a value v, 0 to 1, becomes (v - mean) / std. */
  mean: readonly number[];
  std: readonly number[];
  layout: "nchw" | "nhwc";
}

/** An image as its decoder gives it: four bytes a pixel, red, green, blue and opacity. */
interface Decoded {
  width: number;
  height: number;
  data: Uint8Array;
}

const maxPixels = 1e8;

/** Decoders may reserve memory before they find out that a file is too short for its sizes. */
function checkPixels(what: string, width: number, height: number): void {
  if (width > 0 && height > 0 && width * height <= maxPixels) return;
  throw new UnsupportedError(
    `${what} has ${width} × ${height} pixels; 1 to ${maxPixels} are read.`,
  );
}

const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

async function decodePng(what: string, bytes: Buffer): Promise<Decoded> {
  if (bytes.length < 24 || pngSignature.some((byte, i) => bytes[i] !== byte)) {
    throw new FormatError(`${what} is no PNG file.`);
  }
  checkPixels(what, bytes.readUInt32BE(16), bytes.readUInt32BE(20));
  const { PNG } = (await importForUser("pngjs", "Reading .png")) as {
    PNG: { sync: { read: (bytes: Buffer) => Decoded } };
  };
  return PNG.sync.read(bytes);
}

async function decodeJpeg(bytes: Buffer): Promise<Decoded> {
  const { decode } = (await importForUser("jpeg-js", "Reading .jpg")) as {
    decode: (bytes: Buffer, options: object) => Decoded;
  };
  return decode(bytes, { useTArray: true, maxResolutionInMP: maxPixels / 1e6 });
}

async function decode(what: string, bytes: Buffer, isPng: boolean): Promise<Decoded> {
  let image;
  try {
    image = await (isPng ? decodePng(what, bytes) : decodeJpeg(bytes));
  } catch (cause) {
    if (cause instanceof ModelShrinkError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(`${what} cannot be decoded: ${reason}`, { cause });
  }
  checkPixels(what, image.width, image.height);
  if (image.data.length !== 4 * image.width * image.height) {
    throw new FormatError(`${what} has not as many pixels as its size says.`);
  }
  return image;
}

/** The weights of red, green and blue in each channel; those of gray are of ITU-R BT.601. */
const weights = {
  rgb: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  bgr: [
    [0, 0, 1],
    [0, 1, 0],
    [1, 0, 0],
  ],
  gray: [[0.299, 0.587, 0.114]],
} as const;

/** The number of channels of each kind. */
export const channelCount = (channels: ImageOptions["channels"]): number =>
  weights[channels].length;

/** The image's channels as values from 0 to 1. Opacity is left out. */
function toPixels({ width, height, data }: Decoded, channels: ImageOptions["channels"]): Pixels {
  const planes = weights[channels].map(([red, green, blue]) => {
    const plane = new Float32Array(width * height);
    for (let i = 0, at = 0; i < plane.length; i++, at += 4) {
      plane[i] = (red * data[at]! + green * data[at + 1]! + blue * data[at + 2]!) / 255;
    }
    return plane;
  });
  return { width, height, planes };
}

/**
 * The input of one image: [1, channels, height, width] or [1, height, width, channels] of float32. Needs pngjs or
 * jpeg-js in the user's folder. Throws where the file is broken or has more than 100 million pixels.
 */
export async function readImage(
  what: string,
  bytes: Buffer,
  isPng: boolean,
  { size, channels, mean, std, layout }: ImageOptions,
): Promise<SampleArray> {
  const whole = toPixels(await decode(what, bytes, isPng), channels);
  const { width, height, planes } = size ? resized(whole, size) : whole;
  const numPixels = width * height;
  const isPlanar = layout === "nchw";
  const data = new Float32Array(numPixels * planes.length);
  for (const [c, plane] of planes.entries()) {
    const [start, step] = isPlanar ? [c * numPixels, 1] : [c, planes.length];
    for (let i = 0; i < numPixels; i++) {
      data[start + i * step] = (plane[i]! - mean[c]!) / std[c]!;
    }
  }
  const dims = isPlanar ? [planes.length, height, width] : [height, width, planes.length];
  return { type: "float32", data, dims: [1, ...dims] };
}
