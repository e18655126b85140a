/** Inputs for a model that nobody gave any for: random ones, of the shapes and ranges that its description allows. */

/** An input of a model, as its runtime describes it. */
export interface InputInfo {
  name: string;
  /** "float32", "int64", … */
  type: string;
  /** The sizes of the dimensions; a text or a negative number is one that may have any. */
  shape: readonly (number | string)[];
}

/** A value for an input. */
export interface InputValue {
  type: string;
  data:
    Float32Array | Float64Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array | Int8Array;
  dims: number[];
}

/** What is filled in where the description leaves it open. */
export interface Filling {
  /** The size of dimensions that may have any, other than the batch. */
  size: number;
  /** Integers are below this. */
  below: number;
}

/** The seed of all random inputs, so that a second trial gives the same verdict. */
export const seed = 1;

/** Numbers from 0 to 1, below 1, that are the same for the same seed (mulberry32). */
export function randomNumbers(): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const isInteger = (type: string): boolean => /int/.test(type);
const isOpen = (size: number | string): boolean => typeof size === "string" || size < 0;

/** Gives the fillings to try one after the other: models need not say what they can take. */
function* fillingsFor(inputs: readonly InputInfo[], rows: number): Generator<Filling> {
  const hasOpen = inputs.some(({ shape }) => shape.slice(1).some(isOpen));
  const isOfImages = inputs.some(({ shape }) => shape.length > 3);
  const sizes = hasOpen ? (isOfImages ? [64, 224, 320, 32] : [16, 64, 128, 1]) : [1];
  const ranges = inputs.some(({ type }) => isInteger(type)) ? new Set([rows, 2, 1]) : [rows];
  for (const size of sizes) for (const below of ranges) yield { size, below };
}

function dimsOf({ shape }: InputInfo, { size }: Filling): number[] {
  return shape.map((it, i) => {
    if (!isOpen(it)) return it as number;
    return i === 0 || /batch/i.test(String(it)) ? 1 : size;
  });
}

/** Names tell what integers mean: there is no other description. */
const isMask = (name: string) => /mask/i.test(name);
const isPosition = (name: string) => /position/i.test(name);
const isSegment = (name: string) => /token_type|segment/i.test(name);

function integerAt(name: string, i: number, last: number, below: number, random: () => number) {
  if (isMask(name)) return 1;
  if (isPosition(name)) return i % last;
  return isSegment(name) ? 0 : Math.floor(random() * below);
}

/** Float16 of a number from −1 to 1, cut off: any number of it does. */
function float16Of(value: number): number {
  const [single] = new Uint32Array(Float32Array.of(value).buffer);
  const exponent = ((single! >>> 23) & 0xff) - 112;
  const sign = (single! >>> 16) & 0x8000;
  return exponent <= 0 ? sign : sign | (exponent << 10) | ((single! >>> 13) & 0x3ff);
}

/** More would not fit into a page's memory. */
const maxElements = 2 ** 26;

/** Gives a random value for an input. Throws an Error in words for an input that none can be made for. */
function randomValue(input: InputInfo, filling: Filling, random: () => number): InputValue {
  const { name, type } = input;
  const dims = dimsOf(input, filling);
  const length = dims.reduce((all, size) => all * size, 1);
  if (length > maxElements) throw new Error(`The input “${name}” is too large: ${dims.join("×")}.`);
  const float = () => 2 * random() - 1;
  const integer = (_: unknown, i: number) =>
    integerAt(name, i, dims.at(-1) ?? 1, filling.below, random);
  switch (type) {
    case "float32":
      return { type, dims, data: Float32Array.from({ length }, float) };
    case "float64":
      return { type, dims, data: Float64Array.from({ length }, float) };
    case "float16":
      return { type, dims, data: Uint16Array.from({ length }, () => float16Of(float())) };
    case "int32":
      return { type, dims, data: Int32Array.from({ length }, integer) };
    case "int64":
      return {
        type,
        dims,
        data: BigInt64Array.from({ length }, (it, i) => BigInt(integer(it, i))),
      };
    case "uint8":
      return { type, dims, data: Uint8Array.from({ length }, () => 256 * random()) };
    case "int8":
      return { type, dims, data: Int8Array.from({ length }, () => 256 * random() - 128) };
    case "bool":
      return { type, dims, data: new Uint8Array(length).fill(1) };
    default:
      throw new Error(
        `The input “${name}” is of type ${type}, which no random numbers can be made for. ` +
          "Give inputs of your own.",
      );
  }
}

/** Says what {@link randomValue} gives for an input. */
export function describeInput(input: InputInfo, filling: Filling): string {
  const { name, type } = input;
  const range = () => {
    if (type === "bool") return "all true";
    if (type === "uint8") return "random from 0 to 255";
    if (type === "int8") return "random from −128 to 127";
    if (!isInteger(type)) return "random from −1 to 1";
    if (isMask(name)) return "all 1";
    if (isPosition(name)) return "0, 1, 2 …";
    if (isSegment(name) || filling.below === 1) return "all 0";
    return `random from 0 to ${filling.below - 1}`;
  };
  const dims = dimsOf(input, filling).join("×") || "one number";
  return `${name}: ${type} ${dims}, ${range()}`;
}

/** Gives random values for all inputs, by their names. */
export const randomFeeds = (
  inputs: readonly InputInfo[],
  filling: Filling,
  random: () => number,
): Record<string, InputValue> =>
  Object.fromEntries(inputs.map((it) => [it.name, randomValue(it, filling, random)]));

/** Finds what a model takes, by trying: `run` rejects what it does not. `rows`: integers may be below it. */
export async function fillingOf(
  inputs: readonly InputInfo[],
  rows: number,
  run: (feeds: Record<string, InputValue>) => Promise<unknown>,
): Promise<Filling> {
  let failure: unknown;
  for (const filling of fillingsFor(inputs, rows)) {
    try {
      await run(randomFeeds(inputs, filling, randomNumbers()));
      return filling;
    } catch (error) {
      failure = error;
    }
  }
  const why = failure instanceof Error ? failure.message : String(failure);
  throw new Error(
    `The model does not take random inputs; give inputs of your own. It said: ${why}`,
  );
}
