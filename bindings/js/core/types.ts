/**
 * The WASM module as Embind exposes it (bindings/wasm/module.cc), and nothing more. Everything here is internal:
 * errors come back as values (`CoreError`), bytes as places in the heap. A call in the wrong order, or with a
 * number that makes no sense, is an "ArgumentError" as well.
 */
import type {
  CoreBiasRequest,
  CoreConvGeometry,
  CoreEntryCount,
  CoreError,
  CoreErrorStats,
  CoreFile,
  CoreLayerError,
  CoreLayerErrorRequest,
  CoreLayerFit,
  CoreLayerFitResult,
  CoreMask,
  CoreModelHead,
  CoreOpenRequest,
  CoreQuantizedSizes,
  CoreRateGroup,
  CoreRates,
  CoreReportHead,
  CoreScheme,
  CoreShare,
  CoreSparse,
  CoreSparseParts,
  CoreSparseShape,
  CoreStep,
  CoreTensorSpec,
  CoreWriteOptions,
  HeapBytes,
} from "./structs.js";

export type * from "./structs.js";

export type CoreResult<T> = T | CoreError;
/** The result of what gives nothing. */
export type CoreDone = CoreResult<Record<string, never>>;

/** A request of a model that is being read. */
export type CoreRequest = CoreOpenRequest | Extract<CoreStep, { kind: "read" | "done" }>;

/** Anything that is advanced by steps: `next()`, and after a "read" step `input()` and `feed()`. */
export interface CoreSteps<S = CoreStep> {
  next(): CoreResult<S>;
  /** Gives room for the bytes of a "read" step: copy them there, then call feed(size). */
  input(size: number): CoreResult<HeapBytes>;
  feed(size: number): CoreDone;
  delete(): void;
}

/**
 * Objects of one kind as columns (bindings/wasm/model_table.h). A row's `name`, its numbers of 64 bits and the places
 * of its layer inputs are its own; its other members are JSON that it shares with rows that are alike. There those that
 * are its own are 0 or empty.
 */
export interface CoreTable {
  /** The rows' names, one after the other, in UTF-8. */
  names: Uint8Array;
  /** The end of each row's name in `names`. */
  nameEnds: Uint32Array;
  /** The rows' own numbers by member, of members that some row has; 0 where a row has none. */
  numbers: Record<string, Float64Array>;
  /** For each layer input of each row its value and node, as items of a JSON array. */
  places: Uint8Array;
  /** The end of each row's items in `places`; empty where no row has some. */
  placeEnds: Uint32Array;
  /** The JSON that rows share, one after the other, in UTF-8. */
  texts: Uint8Array;
  /** The end of each of `texts`. */
  textEnds: Uint32Array;
  /** The number of each row's text. */
  shared: Uint32Array;
}

/** A model, from its headers: with a CoreTensorInfo for each tensor. */
export interface CoreInfo extends CoreModelHead {
  tensors: CoreTable;
}

/** A report with a CoreTensorReport for each tensor. */
export interface CoreReport extends CoreReportHead {
  tensors: CoreTable;
}

/** What a run found of the tensors of a unit, in their order; the plan has the rest. */
export interface CoreUnitReports {
  /** The statistics by member of CoreTensorReport. */
  numbers: Readonly<Record<string, ArrayLike<number>>>;
  /** The JSON of members that tensors share, as CoreTable has it. */
  texts: readonly string[];
  /** The number of each tensor's text. */
  shared: ArrayLike<number>;
}

/** The pieces of an output that are written on their own (src/pipeline/shrink.h). */
export interface CoreUnits {
  /** The numbers of the units' tensors, one unit after the other; many have none. */
  tensors: Float64Array;
  /** The end of each unit's tensors in `tensors`. */
  tensorEnds: Float64Array;
  outputBytes: Float64Array;
}

/** A model that is being read, and then asked. */
export interface CoreModel extends CoreSteps<CoreRequest> {
  /** Answers an "open" request with the file's size in bytes, -1 when there is none. */
  opened(sizeBytes: number): CoreDone;
  info(): CoreResult<CoreInfo>;
  /** Plans an output; `which` has for each tensor of info() the number of its specification in `specs`. */
  plan(
    specs: readonly CoreTensorSpec[],
    which: Uint32Array,
    options: CoreWriteOptions,
  ): CoreResult<CorePlan>;
  /**
   * Looks at the weights of the tensors of these numbers, from all of which together the fraction `sparsity` goes.
   */
  survey(
    tensors: number[],
    allocation: "global" | "lamp",
    sparsity: number,
  ): CoreResult<CoreSurvey>;
  /**
   * Tells where weights lie, for the module of packed files. Four numbers each: offset and size in bytes, over all files
   * of the model; elements of a row, or 0; the number of their kind.
   */
  extents(): CoreResult<Float64Array>;
  /** Reads the tensor of this number of info(): "write" steps give its values as float32, from the first to the last. */
  values(tensor: number): CoreResult<CoreValues>;
}

/** The plan of an output: decisions, and the place of each byte. */
export interface CorePlan {
  report(): CoreReport;
  /**
   * Calls the main output file so. It costs as much as a new plan where there are several files, and nothing where
   * there is one.
   */
  rename(mainName: string): CoreDone;
  /** Looks at the weights of the channels of which some are to go. */
  surveyChannels(): CoreResult<CoreSurvey>;
  /** Looks at the weights of these tensors, whose steps are to be found. */
  surveyRates(groups: readonly CoreRateGroup[]): CoreResult<CoreSurvey>;
  /** Writes the plan as it is now; may outlive it. */
  shrink(): CoreResult<CoreShrink>;
  delete(): void;
}

/** Writes the units of a plan in any order. Steps are those of the unit that was started last. */
export interface CoreShrink extends CoreSteps {
  units(): CoreUnits;
  start(unit: number): CoreDone;
  /** Has statistics when the unit is the last that was started here and had tensors, and has run to its end. */
  reports(unit: number): CoreResult<CoreUnitReports>;
}

export interface CoreComparison extends CoreSteps {
  /** Complete after "done". */
  report(): CoreReport;
}

/** The values of a tensor. */
export type CoreValues = CoreSteps;

/** Looks at weights before anything is written. */
export interface CoreSurvey extends CoreSteps {
  /** After "done": the shares of a survey of tensors. */
  shares(): CoreShare[];
  /** After "done": `CoreWriteOptions.removedChannels` of a survey of channels. */
  removedChannels(): string;
  /** After "done": the steps of a survey for rates; an error where a target cannot be reached. */
  rates(): CoreResult<CoreRates>;
}

/**
 * Arrays that stay in JavaScript, inputs before outputs. The core has pieces of them copied: between `size` bytes of
 * the heap at `ptr` and those of array number `array` from byte `offset` on.
 */
export interface CoreStreams {
  copy(array: number, offset: number, ptr: number, size: number): void;
}

/** Every module has these. */
export interface AnyModule {
  HEAPU8: Uint8Array;
  _malloc(size: number): number;
  _free(ptr: number): void;
  /** "WASM" or "EMU128"/"SCALAR": the Highway target this binary was built for. */
  simdTarget(): string;
}

/** Unpacks a file. A "tensor" step comes once, before the first "write" step: from then on files() are known. */
export interface CoreUnpack extends CoreSteps {
  files(): CoreFile[];
  /** Of groups, after the first "done", three numbers each: begin and end in the packed file, and the bytes that it gives. */
  groups(): number[];
  /** The next steps are those of the group. */
  startGroup(group: number): CoreDone;
}

/** The module of packed files. */
export interface PackModule extends AnyModule {
  /** Packs files, which count as one after the other; `extents` as CoreModel gives them, of all these files. */
  createPack(files: readonly CoreFile[], extents: Float64Array): CoreResult<CoreSteps>;
  /**
   * `sizeBytes`: -1 where nobody knows. `checksDigests`: each group's SHA-256 is checked besides the checksums of its
   * pieces. `isForGroups`: the first steps are those of header and index, and then come the groups that are started.
   */
  createUnpack(
    sizeBytes: number,
    checksDigests: boolean,
    isForGroups: boolean,
  ): CoreResult<CoreUnpack>;
}

/** The module of arrays; that of arrays and models. */
export interface CoreModule extends AnyModule {
  quantizedSizes(shape: number[], scheme: CoreScheme): CoreResult<CoreQuantizedSizes>;
  /** From floats to codes, scales and zero points. */
  quantize(shape: number[], scheme: CoreScheme, streams: CoreStreams): CoreDone;
  /** From codes, scales and zero points to floats. */
  dequantize(shape: number[], scheme: CoreScheme, streams: CoreStreams): CoreDone;
  /** Prunes the values in place and writes the mask. */
  mask(request: CoreMask): CoreDone;
  /** From `count` floats and their mask to floats and, if wanted, the mask with a 1 for each other number than 0. */
  applyMask(count: number, writesMask: boolean, streams: CoreStreams): CoreDone;
  /** Writes a score for each value. */
  lampScores(values: HeapBytes, scores: HeapBytes): CoreDone;

  /** The result stays in the heap until the next call. */
  toSparse(shape: CoreSparseShape, values: HeapBytes): CoreResult<CoreSparse>;
  /** Writes rows · columns floats to `out`. */
  fromSparse(shape: CoreSparseShape, parts: CoreSparseParts, out: HeapBytes): CoreDone;
  /** Counts the entries that the form would have. */
  numEntries(shape: CoreSparseShape, values: HeapBytes): CoreResult<CoreEntryCount>;

  /** Adds XᵀX to `sums`; x has rows of `columns`. */
  addToGram(x: HeapBytes, columns: number, sums: HeapBytes): CoreDone;
  /** Writes every `step`th row from number `first` on, as many as `out` has room for. */
  im2col(
    geometry: CoreConvGeometry,
    image: HeapBytes,
    first: number,
    step: number,
    out: HeapBytes,
  ): CoreDone;
  /** Replaces the weights. */
  fitLayer(request: CoreLayerFit): CoreResult<CoreLayerFitResult>;
  layerError(request: CoreLayerErrorRequest): CoreResult<CoreLayerError>;
  biasCorrection(request: CoreBiasRequest): CoreDone;
  /** Compares `count` floats with others. */
  errorStats(count: number, streams: CoreStreams): CoreResult<CoreErrorStats>;

  /** Starts to read a model, whose file begins with `head`, up to 64 bytes. */
  openModel(name: string, sizeBytes: number, head: Uint8Array): CoreResult<CoreModel>;
  compareModels(original: CoreModel, other: CoreModel): CoreResult<CoreComparison>;
}
