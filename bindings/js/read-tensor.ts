import type { ReadOptions } from "./files/raw.js";
import type { Source } from "./files/source.js";
import type { TensorValues } from "./models/types.js";

/**
 * Reads one tensor of a model as float32, whatever it is stored as: quantized weights come as the floats that they
 * stand for. Only the headers and the tensor's own bytes are read.
 *
 * @param name - The tensor's name, as `inspect` gives it.
 * @throws {@link ArgumentError} when the model has no such tensor; {@link UnsupportedError} when its values are no
 *   numbers of up to 32 bits, lie in a file that is not there, or are more than 2²⁹; else the errors of `inspect`.
 */
export const readTensor = async (
  source: Source,
  name: string,
  options?: ReadOptions,
): Promise<TensorValues> => (await import("./models/values.js")).valuesOf(source, name, options);
