/** Specifications of all tensors of a model: few differ, so each is there once. */
import type { CoreTensorSpec, CoreWriteOptions } from "../core/types.js";

/** The core's arguments for writing a model. */
export interface Order {
  /** Every specification that some tensor has, once. */
  specs: readonly CoreTensorSpec[];
  /** The number of each tensor's in `specs`. */
  which: Uint32Array;
  options: CoreWriteOptions;
}

/** Collects the specifications of tensors, in their order. */
export class SpecList {
  readonly #specs: CoreTensorSpec[] = [];
  readonly #which: Uint32Array;
  readonly #numbers = new Map<string, number>();
  #length = 0;
  #last: CoreTensorSpec | undefined;
  #lastNumber = 0;

  constructor(count: number) {
    this.#which = new Uint32Array(count);
  }

  add(spec: CoreTensorSpec): void {
    // Neighbours mostly have the very same one.
    if (spec !== this.#last) this.#lastNumber = this.#numberOf(spec);
    this.#which[this.#length++] = this.#lastNumber;
    this.#last = spec;
  }

  order(options: CoreWriteOptions): Order {
    return { specs: this.#specs, which: this.#which, options };
  }

  #numberOf(spec: CoreTensorSpec): number {
    const key = JSON.stringify(spec);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#specs.push(spec) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

/** Gives an order with what `change` makes of the specifications, by the numbers of tensors. */
export function changeSpecs(
  { specs, which, options }: Order,
  change: (spec: CoreTensorSpec, tensor: number) => CoreTensorSpec,
): Order {
  const list = new SpecList(which.length);
  for (const [tensor, number] of which.entries()) list.add(change(specs[number]!, tensor));
  return list.order(options);
}
