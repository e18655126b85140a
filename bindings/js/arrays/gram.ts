/** The second moments of a layer's inputs, which calibrated methods need. */
import { ArgumentError, FormatError } from "../base/errors.js";
import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkObject,
  show,
  wrongValue,
} from "../base/options.js";
import { copyOut, withScratch } from "../core/heap.js";
import { unwrap, withLayers } from "../core/load.js";
import { checkFloats, type Floats } from "./floats.js";

/** A convolution's view of its input, with ONNX's names and defaults; one or two spatial dimensions. */
export interface ConvWindow {
  /** The size of the kernel in each spatial dimension. */
  kernelShape: readonly number[];
  /** The step in each spatial dimension; 1 by default. */
  strides?: readonly number[];
  /** The distance of the taps in each spatial dimension; 1 by default. */
  dilations?: readonly number[];
  /** The zeros around the input: before all spatial dimensions, then after all; 0 by default. */
  pads?: readonly number[];
  /** The number of groups that the channels are in; 1 by default. */
  group?: number;
  /** The number of the group that this Gram is of; 0 by default. */
  groupIndex?: number;
  /** The largest number of places of an image to look at, evenly spread; by default all. */
  maxRows?: number;
}

/** The options of a {@link Gram}. */
export interface GramOptions {
  /** Keeps only the sums of squares of each column: enough for "wanda", and small; false by default. */
  normsOnly?: boolean;
}

/** More columns than this have a matrix that no heap holds. */
const maxColumns = 2 ** 15;
/** Activations are summed up so many rows at once, however they arrive. */
const rowsOfRun = 256;

/** So many rows at most are held out. */
const maxHeldOut = 128;
/** Of few rows, one of so many is held out. */
const firstStep = 4;

const magic = 0x4d524753;
/** Version 1 had no rows that are held out. */
const version = 2;
const headerBytes = 32;

function addTo<T extends Float32Array | Float64Array>(sums: T, others: T): void {
  for (let i = 0; i < sums.length; ++i) sums[i]! += others[i]!;
}

/** Gives the size of a Gram as bytes: of norms only where each column has two doubles. */
const bytesFor = (columns: number, numDoubles: number, numHeldOut: number): number => {
  const triangle = numDoubles > columns ? 0 : (columns * (columns + 1)) / 2;
  return headerBytes + numDoubles * 8 + (triangle + numHeldOut * columns) * 4;
};

/**
 * The sums XᵀX of the rows that were added, and the sums of each column; and some of the rows, by which a fit is judged.
 * It holds plain arrays, 4 · columns² bytes and 512 · columns at most, which are collected as others are; `using` gives
 * them up at once. Adding rows needs `init()`.
 */
export class Gram {
  /** The number of inputs of the layer. */
  readonly columns: number;
  /** True when only the sums of squares of each column are kept. */
  readonly normsOnly: boolean;
  #rows = 0;
  /** [columns, columns], of which the upper triangle counts; with `normsOnly` its diagonal. */
  #sums: Float32Array<ArrayBuffer>;
  #columnSums: Float64Array;
  /** The diagonal in float64, where there is only that: it has no kernel. */
  #squares: Float64Array;
  /** Rows evenly spread over all that were added, one of each `#step`. */
  #heldOut: Float32Array[] = [];
  #step = firstStep;
  #staged = new Float32Array(0);
  #numStaged = 0;
  #isDisposed = false;

  /**
   * @param columns - The number of inputs of the layer; at most 32768 unless `normsOnly`.
   * @throws {@link ArgumentError} for more.
   */
  constructor(columns: number, options: GramOptions = {}) {
    this.columns = checkInteger("columns", columns, 1, 2 ** 32 - 1);
    checkKeys("options", checkObject("options", options), ["normsOnly"]);
    this.normsOnly = checkBoolean("normsOnly", options.normsOnly ?? false);
    if (!this.normsOnly && columns > maxColumns) {
      throw new ArgumentError(
        `A Gram matrix of ${columns} columns does not fit memory; with normsOnly it does, for "wanda".`,
      );
    }
    this.#sums = new Float32Array(this.normsOnly ? 0 : columns * columns);
    this.#squares = new Float64Array(this.normsOnly ? columns : 0);
    this.#columnSums = new Float64Array(columns);
  }

  /** The number of rows of activations that were added. */
  get rows(): number {
    return this.#rows;
  }

  /** The matrix XᵀX, row-major: its upper triangle, with zeros below. Throws an ArgumentError with `normsOnly`. */
  get sums(): Float32Array {
    if (this.normsOnly) throw new ArgumentError("This Gram has norms only.");
    this.#flush();
    return this.#sums;
  }

  /** The number of rows that are held out. */
  get numHeldOut(): number {
    return this.#heldOut.length;
  }

  /** Some of the rows, one after the other: at most 128, evenly spread. A fit is judged by them. */
  get heldOut(): Float32Array {
    const rows = new Float32Array(this.#heldOut.length * this.columns);
    for (const [i, row] of this.#heldOut.entries()) rows.set(row, i * this.columns);
    return rows;
  }

  /** Gives the mean of each column. */
  mean(): Float32Array {
    this.#checkLive();
    return Float32Array.from(this.#columnSums, (sum) => sum / Math.max(1, this.#rows));
  }

  /** Gives the norm ‖X_j‖₂ of each column. */
  norms(): Float32Array {
    this.#flush();
    return Float32Array.from({ length: this.columns }, (_, j) =>
      Math.sqrt(this.normsOnly ? this.#squares[j]! : this.#sums[j * (this.columns + 1)]!),
    );
  }

  /**
   * Adds rows of activations, one after the other: x.length is a multiple of `columns`.
   *
   * @throws {@link ArgumentError} when it is not, or when a value is NaN or infinite.
   */
  add(x: Floats): this {
    const floats = checkFloats("x", x);
    if (x.length % this.columns !== 0) {
      throw new ArgumentError(`x has ${x.length} elements, not rows of ${this.columns}.`);
    }
    const numRows = x.length / this.columns;
    this.#addSums(floats, numRows);
    // Whole runs go together: the sums cross into the core and back once for all of them.
    const runs = Math.max(1, Math.floor(2 ** 22 / (rowsOfRun * this.columns)));
    for (let row = 0; row < numRows;) {
      const rest = numRows - row;
      const count =
        this.#numStaged === 0 && rest >= rowsOfRun
          ? rowsOfRun * Math.min(runs, Math.floor(rest / rowsOfRun))
          : Math.min(rest, rowsOfRun - this.#numStaged);
      this.#stage(floats.subarray(row * this.columns, (row + count) * this.columns), count);
      row += count;
    }
    return this;
  }

  /**
   * Adds the inputs of a convolution: x of `shape` [images, channels, (height,) width].
   *
   * @throws {@link ArgumentError} when they do not fit the window or this Gram, or a value is NaN or infinite.
   */
  addConv(x: Floats, shape: readonly number[], window: ConvWindow): this {
    const floats = checkFloats("x", x);
    const { images, geometry, offset, stride } = convGeometry(floats, shape, window);
    const { columns } = geometry;
    if (columns !== this.columns) {
      throw new ArgumentError(`The convolution has ${columns} columns, this Gram ${this.columns}.`);
    }
    const places = geometry.outputHeight * geometry.outputWidth;
    const maxRows = checkInteger("maxRows", window.maxRows ?? 2 ** 53, 1, 2 ** 53);
    const step = Math.max(1, Math.ceil(places / maxRows));
    const size = geometry.channels * geometry.height * geometry.width;
    for (let image = 0; image < images; ++image) {
      const start = image * stride + offset;
      this.#addPlaces(floats.subarray(start, start + size), geometry, places, step);
    }
    return this;
  }

  /** Adds the sums of another Gram of the same columns and kind; throws an ArgumentError for others. */
  merge(other: Gram): this {
    if (other.columns !== this.columns || other.normsOnly !== this.normsOnly) {
      throw new ArgumentError("Only Grams of the same columns and kind can be merged.");
    }
    other.#flush();
    this.#flush();
    addTo(this.#sums, other.#sums);
    addTo(this.#squares, other.#squares);
    addTo(this.#columnSums, other.#columnSums);
    this.#rows += other.#rows;
    this.#step = Math.max(this.#step, other.#step);
    this.#holdOut(other.#heldOut);
    return this;
  }

  /** Gives a Gram of `count` neighbouring columns, from `first` on. */
  slice(first: number, count: number): Gram {
    checkInteger("first", first, 0, this.columns - 1);
    checkInteger("count", count, 1, this.columns - first);
    this.#flush();
    const gram = new Gram(count, { normsOnly: this.normsOnly });
    gram.#rows = this.#rows;
    gram.#columnSums.set(this.#columnSums.subarray(first, first + count));
    gram.#squares.set(this.#squares.subarray(first, first + count));
    for (let row = 0; row < count && !this.normsOnly; ++row) {
      const at = (first + row) * this.columns + first;
      gram.#sums.set(this.#sums.subarray(at, at + count), row * count);
    }
    gram.#step = this.#step;
    gram.#heldOut = this.#heldOut.map((row) => row.slice(first, first + count));
    return gram;
  }

  /** Gives bytes to save, little-endian; {@link Gram.fromBytes} reads them again. */
  toBytes(): Uint8Array<ArrayBuffer> {
    this.#flush();
    const { columns, normsOnly, heldOut } = this;
    const doubles = [...this.#columnSums, ...this.#squares];
    const numHeldOut = this.#heldOut.length;
    const bytes = new Uint8Array(bytesFor(columns, doubles.length, numHeldOut));
    const { buffer } = bytes;
    const head = [magic, version, columns, Number(normsOnly), 0, 0, numHeldOut, this.#step];
    new Uint32Array(buffer).set(head);
    new Float64Array(buffer, 16, 1)[0] = this.#rows;
    new Float64Array(buffer, headerBytes, doubles.length).set(doubles);
    const floats = new Float32Array(buffer, headerBytes + doubles.length * 8);
    let at = 0;
    for (let row = 0; row < columns && !normsOnly; at += columns - row++) {
      floats.set(this.#sums.subarray(row * (columns + 1), (row + 1) * columns), at);
    }
    floats.set(heldOut, at);
    return bytes;
  }

  /**
   * Reads what {@link Gram.toBytes} gave.
   *
   * @throws {@link FormatError} for other bytes.
   */
  static fromBytes(bytes: Uint8Array): Gram {
    const wrong = (what: string) => new FormatError(`These bytes are no Gram: ${what}.`);
    // Copied, so that the numbers are aligned.
    const { buffer } = new Uint8Array(bytes);
    const head = bytes.length < headerBytes ? [] : new Uint32Array(buffer, 0, headerBytes / 4);
    if (head[0] !== magic) throw wrong("they begin otherwise");
    if (head[1] !== version && head[1] !== 1) throw wrong("of another version");
    const [columns, numHeldOut] = [head[2]!, head[6]!];
    const normsOnly = head[3] === 1;
    const numDoubles = columns * (normsOnly ? 2 : 1);
    const isWhole = bytes.length === bytesFor(columns, numDoubles, numHeldOut);
    if (columns === 0 || numHeldOut > maxHeldOut || !isWhole) {
      throw wrong(`${bytes.length} bytes do not fit ${columns} columns`);
    }
    const gram = new Gram(columns, { normsOnly });
    gram.#rows = new Float64Array(buffer, 16, 1)[0]!;
    if (!Number.isSafeInteger(gram.#rows) || gram.#rows < numHeldOut) throw wrong("the row count");
    gram.#step = Math.max(firstStep, head[7]!);
    const doubles = new Float64Array(buffer, headerBytes, numDoubles);
    gram.#columnSums.set(doubles.subarray(0, columns));
    gram.#squares.set(doubles.subarray(columns));
    const floats = new Float32Array(buffer, headerBytes + numDoubles * 8);
    let at = 0;
    for (let row = 0; row < columns && !normsOnly; at += columns - row++) {
      gram.#sums.set(floats.subarray(at, at + columns - row), row * (columns + 1));
    }
    for (let row = 0; row < numHeldOut; ++row, at += columns) {
      gram.#heldOut.push(floats.slice(at, at + columns));
    }
    if (!doubles.every(Number.isFinite) || !floats.every(Number.isFinite)) {
      throw wrong("a sum is not finite");
    }
    return gram;
  }

  /** Gives the memory up: whatever is asked of this Gram later, except its `columns` and `rows`, is an ArgumentError. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#sums = new Float32Array(0);
    this.#columnSums = new Float64Array(0);
    this.#squares = new Float64Array(0);
    this.#heldOut = [];
    this.#staged = new Float32Array(0);
    this.#numStaged = 0;
  }

  #checkLive(): void {
    if (this.#isDisposed) throw new ArgumentError("This Gram has been disposed of.");
  }

  #addSums(x: Float32Array, numRows: number): void {
    this.#checkLive();
    const { columns } = this;
    const sums = this.#columnSums;
    const squares = this.#squares;
    for (let row = 0, i = 0; row < numRows; ++row) {
      for (let j = 0; j < columns; ++j, ++i) {
        const value = x[i]!;
        if (!Number.isFinite(value)) {
          throw new ArgumentError(
            `The activation in row ${row}, column ${j} is ${value}; it must be finite.`,
          );
        }
        sums[j]! += value;
        if (squares.length > 0) squares[j]! += value * value;
      }
    }
    for (let row = 0; row < numRows && !this.normsOnly; ++row) {
      if ((this.#rows + row) % this.#step !== 0) continue;
      this.#holdOut([x.slice(row * columns, (row + 1) * columns)]);
    }
    this.#rows += numRows;
  }

  #holdOut(rows: readonly Float32Array[]): void {
    this.#heldOut = [...this.#heldOut, ...rows];
    while (this.#heldOut.length > maxHeldOut) {
      this.#heldOut = this.#heldOut.filter((_, i) => i % 2 === 0);
      this.#step *= 2;
    }
  }

  #stage(rows: Float32Array, count: number): void {
    if (this.normsOnly) return;
    // More than is staged at once, or as much: then nothing is staged.
    if (count >= rowsOfRun) {
      this.#accumulate(rows);
      return;
    }
    if (this.#staged.length === 0) this.#staged = new Float32Array(rowsOfRun * this.columns);
    this.#staged.set(rows, this.#numStaged * this.columns);
    this.#numStaged += count;
    if (this.#numStaged === rowsOfRun) this.#flush();
  }

  #flush(): void {
    this.#checkLive();
    if (this.#numStaged === 0) return;
    this.#accumulate(this.#staged.subarray(0, this.#numStaged * this.columns));
    this.#numStaged = 0;
  }

  #accumulate(rows: Float32Array): void {
    withScratch((core, scratch) => {
      const sums = scratch.copyIn(this.#sums);
      unwrap(withLayers(core).addToGram(scratch.copyIn(rows), this.columns, sums));
      copyOut(core, sums, this.#sums);
    });
  }

  #addPlaces(image: Float32Array, geometry: Geometry, places: number, step: number): void {
    const numRows = Math.ceil(places / step);
    const count = Math.max(1, Math.min(numRows, Math.floor((1 << 20) / this.columns)));
    for (let done = 0; done < numRows; done += count) {
      const rows = withScratch((core, scratch) => {
        const size = Math.min(count, numRows - done) * this.columns * 4;
        const out = scratch.allocate(size);
        unwrap(withLayers(core).im2col(geometry, scratch.copyIn(image), done * step, step, out));
        return new Float32Array(copyOut(core, out).buffer);
      });
      this.add(rows);
    }
  }
}

interface Geometry {
  channels: number;
  height: number;
  width: number;
  kernelHeight: number;
  kernelWidth: number;
  strideY: number;
  strideX: number;
  dilationY: number;
  dilationX: number;
  padTop: number;
  padLeft: number;
  padBottom: number;
  padRight: number;
  columns: number;
  outputHeight: number;
  outputWidth: number;
}

/** The last two numbers of a list that has one for each spatial dimension: [y, x]. */
function pairOf(name: string, value: readonly number[] | undefined, rank: number, missing: number) {
  if (value === undefined) return [missing, missing] as const;
  if (!Array.isArray(value) || value.length !== rank) {
    throw new ArgumentError(`${name} is ${show(value)}; it must have ${rank} numbers.`);
  }
  const numbers = value.map((size, i) => checkInteger(`${name}[${i}]`, size, missing, 2 ** 18));
  return rank === 1 ? ([missing, numbers[0]!] as const) : ([numbers[0]!, numbers[1]!] as const);
}

function convGeometry(x: Float32Array, shape: readonly number[], window: ConvWindow) {
  const rank = shape.length - 2;
  if (rank !== 1 && rank !== 2) {
    throw wrongValue("shape", shape, "[images, channels, (height,) width]");
  }
  const sizes = shape.map((size, i) => checkInteger(`shape[${i}]`, size, 0, 2 ** 31));
  const [images, allChannels] = sizes as [number, number];
  const [height, width] = rank === 1 ? [1, sizes[2]!] : [sizes[2]!, sizes[3]!];
  if (x.length !== sizes.reduce((all, size) => all * size, 1)) {
    throw new ArgumentError(`x has ${x.length} elements, which is not its shape ${show(shape)}.`);
  }
  const group = checkInteger("group", window.group ?? 1, 1, Math.max(1, allChannels));
  if (allChannels % group !== 0) {
    throw new ArgumentError(`${allChannels} channels are not in ${group} equal groups.`);
  }
  const groupIndex = checkInteger("groupIndex", window.groupIndex ?? 0, 0, group - 1);
  const channels = allChannels / group;
  const [kernelHeight, kernelWidth] = pairOf("kernelShape", window.kernelShape, rank, 1);
  const [strideY, strideX] = pairOf("strides", window.strides, rank, 1);
  const [dilationY, dilationX] = pairOf("dilations", window.dilations, rank, 1);
  const pads = window.pads ?? new Array<number>(2 * rank).fill(0);
  const [padTop, padLeft] = pairOf("pads", pads.slice(0, rank), rank, 0);
  const [padBottom, padRight] = pairOf("pads", pads.slice(rank), rank, 0);
  const places = (size: number, kernel: number, dilation: number, stride: number) =>
    Math.max(0, Math.floor((size - (kernel - 1) * dilation - 1) / stride) + 1);
  const geometry: Geometry = {
    ...{ channels, height, width, kernelHeight, kernelWidth, strideY, strideX },
    ...{ dilationY, dilationX, padTop, padLeft, padBottom, padRight },
    columns: channels * kernelHeight * kernelWidth,
    outputHeight: places(height + padTop + padBottom, kernelHeight, dilationY, strideY),
    outputWidth: places(width + padLeft + padRight, kernelWidth, dilationX, strideX),
  };
  const plane = height * width;
  return {
    images,
    geometry,
    offset: groupIndex * channels * plane,
    stride: allChannels * plane,
  };
}
