/** Rows of a table of the core. There may be millions: an object is made of one when it is asked for. */
import { visible } from "../base/visible.js";
import type {
  CoreInfo,
  CoreLayerInput,
  CoreModelHead,
  CoreReport,
  CoreReportHead,
  CoreTable,
  CoreTensorInfo,
  CoreTensorReport,
} from "./types.js";

/** The habits that rows and arrays have in common. */
export interface Rows<T> extends Iterable<T> {
  readonly length: number;
  /** Gives row number `index`; undefined where there is none. */
  at(index: number): T | undefined;
}

/** Names are decoded so many at a time. */
const blockRows = 256;

/** Parsed texts are kept while there are no more of them. */
const maxParsed = 1024;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Gives the bytes of the items `first` to `last`; each begins where the one before it ends, the first at 0. */
const between = (bytes: Uint8Array, ends: Uint32Array, first: number, last: number): Uint8Array =>
  bytes.subarray(ends[first - 1], ends[last]);

/**
 * The rows of a table. Each row is an object of its own, but what is in its members is shared with other rows: who gives
 * rows away copies them.
 */
export class TableRows<T extends object> implements Rows<T> {
  readonly table: CoreTable;
  readonly #more: readonly string[];
  readonly #parsed = new Map<number, Record<string, unknown>>();
  /** The names of the block that was asked for last. */
  #block = -1;
  #names: string[] = [];

  /** `more` has the texts whose numbers come after those of the table. */
  constructor(table: CoreTable, more: readonly string[] = []) {
    this.table = table;
    this.#more = more;
  }

  get length(): number {
    return this.table.shared.length;
  }

  at(index: number): T | undefined {
    if (!(index >= 0 && index < this.length)) return undefined;
    const { numbers, shared } = this.table;
    // Not a spread: V8 moves what is added to such an object to its old memory, of each of a million rows.
    const row: Record<string, unknown> = Object.assign({}, this.#textOf(shared[index]!));
    if ("name" in row) row.name = this.nameAt(index);
    for (const key in numbers) if (key in row) row[key] = numbers[key]![index];
    if (row.layerInputs)
      row.layerInputs = this.#withPlaces(index, row.layerInputs as CoreLayerInput[]);
    return row as T;
  }

  *[Symbol.iterator](): Generator<T, undefined> {
    for (let i = 0; i < this.length; i++) yield this.at(i)!;
  }

  #withPlaces(index: number, inputs: readonly CoreLayerInput[]): CoreLayerInput[] {
    const { places, placeEnds } = this.table;
    const json = utf8.decode(between(places, placeEnds, index, index));
    const own = JSON.parse(`[${json}]`) as (string | number)[];
    return inputs.map((input, i) => ({
      ...input,
      value: own[2 * i] as string,
      node: own[2 * i + 1] as number,
    }));
  }

  #textOf(number: number): Record<string, unknown> {
    let parsed = this.#parsed.get(number);
    if (!parsed) {
      const { texts, textEnds } = this.table;
      const json =
        this.#more[number - textEnds.length] ??
        utf8.decode(between(texts, textEnds, number, number));
      parsed = JSON.parse(json) as Record<string, unknown>;
      if (typeof parsed.note === "string") parsed.note = visible(parsed.note);
      if (this.#parsed.size === maxParsed) this.#parsed.clear();
      this.#parsed.set(number, parsed);
    }
    return parsed;
  }

  /** Gives the name of row number `index`, which is there. */
  nameAt(index: number): string {
    const block = Math.floor(index / blockRows);
    if (block !== this.#block) {
      this.#names = this.#namesOf(block * blockRows);
      this.#block = block;
    }
    return this.#names[index % blockRows]!;
  }

  #namesOf(first: number): string[] {
    const { names, nameEnds } = this.table;
    const last = Math.min(first + blockRows, this.length) - 1;
    const bytes = between(names, nameEnds, first, last);
    const text = utf8.decode(bytes);
    const isAscii = text.length === bytes.length;
    const found: string[] = [];
    let begin = 0;
    for (let i = first; i <= last; i++) {
      const end = begin + nameEnds[i]! - (nameEnds[i - 1] ?? 0);
      found.push(isAscii ? text.slice(begin, end) : utf8.decode(bytes.subarray(begin, end)));
      begin = end;
    }
    return found;
  }
}

/** Gives rows that `at` makes. */
export const rowsOf = <T>(length: number, at: (index: number) => T): Rows<T> => ({
  length,
  at: (index) => (index >= 0 && index < length ? at(index) : undefined),
  *[Symbol.iterator]() {
    for (let i = 0; i < length; i++) yield at(i);
  },
});

/** Tells whether a row is as `test` wants it. */
export function someRow<T>(rows: Rows<T>, test: (row: T) => boolean): boolean {
  for (const row of rows) if (test(row)) return true;
  return false;
}

/** A model's structure. */
export interface ModelRows extends CoreModelHead {
  tensors: Rows<CoreTensorInfo>;
}

/** What becomes of a model. */
export interface ReportRows extends CoreReportHead {
  tensors: Rows<CoreTensorReport>;
}

/** A report as the core gave it. */
export interface CoreReportRows extends ReportRows {
  tensors: TableRows<CoreTensorReport>;
}

export const modelRows = ({ tensors, ...head }: CoreInfo): ModelRows => ({
  ...head,
  tensors: new TableRows(tensors),
});

export const reportRows = ({ tensors, ...head }: CoreReport): CoreReportRows => ({
  ...head,
  tensors: new TableRows(tensors),
});
