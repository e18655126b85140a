/** The needs of commands that run a model: the user's onnxruntime, and the samples of --inputs. */
import { checkOrt, inputNamesOf, type Feeds, type OrtModule } from "../runtime/session.js";
import type { ReadOptions } from "../files/raw.js";
import type { Source } from "../files/source.js";
import { optionSets, type OptionValues } from "./options.js";
import { channelCount, type ImageOptions } from "./samples/images.js";
import { samplesFrom } from "./samples/samples.js";
import { UsageError } from "./usage-error.js";
import { importForUser } from "./user-module.js";

const maxSide = 16384;

function sizeFrom(text: string | undefined): ImageOptions["size"] {
  if (text === undefined) return undefined;
  const [, width, height] = /^(\d+)[x×](\d+)$/i.exec(text) ?? [];
  const size = { width: Number(width), height: Number(height) };
  const isSize = (side: number) => side >= 1 && side <= maxSide;
  if (isSize(size.width) && isSize(size.height)) return size;
  throw new UsageError(
    `--resize is "${text}"; it must be <width>x<height> in pixels, such as 224x224.`,
  );
}

function wordFrom<Word extends string>(
  name: string,
  text: string | undefined,
  words: readonly [Word, ...Word[]],
): Word {
  if (text === undefined) return words[0];
  const word = words.find((it) => it === text);
  if (word !== undefined) return word;
  throw new UsageError(`--${name} is "${text}"; it must be one of ${words.join(", ")}.`);
}

/** One number for each channel. */
function numbersFrom(name: string, text: string, count: number): number[] {
  const numbers = text.split(",").map((it) => (it.trim() === "" ? NaN : Number(it)));
  const isRight = numbers.length === count || numbers.length === 1;
  if (!isRight || !numbers.every(Number.isFinite) || (name === "std" && numbers.includes(0))) {
    throw new UsageError(
      `--${name} is "${text}"; it must be ${count === 1 ? "a number" : `1 or ${count} numbers`}` +
        `${name === "std" ? " other than 0" : ""}, such as ${count === 1 ? "0.5" : "0.485,0.456,0.406"}.`,
    );
  }
  return Array.from({ length: count }, (_, i) => numbers[i] ?? numbers[0]!);
}

function imageOptionsFrom(values: OptionValues) {
  const { resize, channels: kind, mean, std, "image-layout": layout } = values;
  const channels = wordFrom("channels", kind, ["rgb", "bgr", "gray"]);
  const count = channelCount(channels);
  const image: ImageOptions = {
    size: sizeFrom(resize),
    channels,
    mean: numbersFrom("mean", mean ?? "0", count),
    std: numbersFrom("std", std ?? "1", count),
    layout: wordFrom("image-layout", layout, ["nchw", "nhwc"]),
  };
  const isGiven = [resize, kind, mean, std, layout].some((it) => it !== undefined);
  return { image: isGiven ? image : undefined, defaultImage: image };
}

/** Throws a UsageError for options that say how samples are read, where --inputs names none. */
export function refuseWithoutInputs(values: OptionValues): void {
  const name = optionSets.samples.find((it) => it in values);
  if (name !== undefined) throw new UsageError(`--${name} needs --inputs <path>.`);
}

/** Gives the runtime and the samples that a model is run on. */
export interface Runtime {
  ort: OrtModule;
  inputs: AsyncIterable<Feeds>;
}

/**
 * onnxruntime-node, and the samples that --inputs names for `model`. Throws a UsageError where the command
 * `name` has no --inputs.
 */
export async function runtimeFor(
  values: OptionValues,
  name: string,
  model: Source,
  reading: ReadOptions,
): Promise<Runtime> {
  const { inputs } = values;
  if (inputs === undefined) {
    throw new UsageError(`"${name}" needs --inputs <path>.`);
  }
  const images = imageOptionsFrom(values);
  const ort = checkOrt(await importForUser("onnxruntime-node", "Running a model"));
  const samples = await samplesFrom(inputs, {
    inputName: values["input-name"],
    inputNames: () => inputNamesOf(ort, model, reading),
    ...images,
  });
  return { ort, inputs: samples };
}
