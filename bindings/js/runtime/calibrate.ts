/** Runs samples through a model and sums up what its layers see. */
import { behindDoor, callUser } from "../base/door.js";
import { UnsupportedError, ArgumentError } from "../base/errors.js";
import { checkInteger, optional } from "../base/options.js";
import { Gram } from "../arrays/gram.js";
import { reusable } from "../files/open.js";
import type { ReadOptions } from "../files/raw.js";
import type { Source } from "../files/source.js";
import type { Calibration } from "../recipe/calibration.js";
import { inspect } from "../models/inspect.js";
import { checkRunOptions, readingOf, runKeys } from "../models/options.js";
import type { TensorInfo } from "../models/types.js";
import { addTo, columnsOf, openTapped, tapsOf, withTaps, type Layer } from "./layer-inputs.js";
import {
  checkOrt,
  checkSamples,
  checkSessionOptions,
  floatsOf,
  labelOf,
  type OrtModule,
  type Samples,
  type SessionOptions,
} from "./session.js";

/** The options of {@link calibrate}. */
export interface CalibrateOptions extends ReadOptions {
  /** The onnxruntime that runs the model. */
  ort: OrtModule;
  /** Samples like those that the model will see; some dozens to hundreds. */
  inputs: Samples;
  /**
   * The largest number of inputs of a layer, whose matrix takes 4 · n² bytes; others are left out. 8192 by default.
   */
  maxColumns?: number;
  /** Options of the session, such as `executionProviders`; by default onnxruntime's own. */
  session?: SessionOptions;
  /** Is called after each sample with the number of those that are done. */
  onProgress?: (samples: number) => void;
}

/** Gives the layers whose inputs can be seen, with empty Grams. */
function layersOf(tensors: readonly TensorInfo[], maxColumns: number): Layer[] {
  return tensors.flatMap((tensor) => {
    const columns = columnsOf(tensor, maxColumns);
    if (columns === undefined) return [];
    const length = tensor.layer?.groups ?? 1;
    return [{ tensor, grams: Array.from({ length }, () => new Gram(columns)) }];
  });
}

/**
 * Finds the moments of every layer's inputs over the samples, for `shrink(…, { calibration })`: MatMul, Gemm, Conv,
 * LSTM, GRU and RNN of the main graph and in branches (If). The model may have external data; its main file has less
 * than 2 GB. The samples are run one after the other; memory holds the matrices, and the values that one sample makes
 * in all layers.
 *
 * @throws UnsupportedError for other models; ArgumentError for a wrong option or sample, or none; the errors of
 *   `inspect`.
 */
export async function calibrate(model: Source, options: CalibrateOptions): Promise<Calibration> {
  return behindDoor(options, () => calibrateModel(model, options));
}

async function calibrateModel(model: Source, options: CalibrateOptions): Promise<Calibration> {
  const given = checkRunOptions(options, ["ort", "inputs", "maxColumns", "session", ...runKeys]);
  const ort = checkOrt(given.ort);
  const samples = checkSamples(given.inputs);
  const maxColumns = optional(given.maxColumns, (it) => checkInteger("maxColumns", it, 1, 2 ** 15));
  const session = checkSessionOptions(given.session);
  const { signal, onProgress } = options;
  const reading = readingOf(options);
  // It is read for its structure, and then for its weights.
  const source = await reusable(model, reading);
  const info = await inspect(source, reading);
  if (info.format !== "onnx") {
    throw new UnsupportedError(`calibrate runs ONNX models; this is ${info.format}.`);
  }
  const layers = layersOf(info.tensors, maxColumns ?? 8192);
  const taps = tapsOf(
    layers.flatMap((layer) => layer.tensor.layerInputs!.map((input) => ({ layer, input }))),
  );
  const tapped = await openTapped(ort, await withTaps(source, taps, reading), { session });
  try {
    let done = 0;
    for await (const sample of samples) {
      signal?.throwIfAborted();
      const values = await tapped.run(
        sample,
        labelOf(done, sample),
        taps.map(({ output }) => output),
      );
      for (const { value: name, output, readers } of taps) {
        const value = values[output]!;
        const floats = floatsOf(name, value);
        for (const reader of readers) addTo(reader, floats, value.dims, labelOf(done, sample));
        value.dispose?.();
      }
      done++;
      callUser(() => onProgress?.(done));
    }
    if (done === 0) throw new ArgumentError("inputs has no samples.");
  } finally {
    await tapped.close();
  }
  return Object.fromEntries(
    layers
      .filter(({ grams }) => grams.every(({ rows }) => rows > 0))
      .map(({ tensor, grams }) => [tensor.name, grams.length === 1 ? grams[0]! : grams]),
  );
}
