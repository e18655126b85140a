import type { Calibration } from "modelshrink";
import type { Feeds } from "modelshrink/runtime";

/** The types of the fixtures that blocks in TypeScript use. */
export declare const fixtures: {
  model(): Promise<Uint8Array<ArrayBuffer>>;
  images(): Float32Array[];
  inputs(): Feeds[];
  others(): Feeds[];
  calibration(): Promise<Calibration>;
  mainFile(): Promise<File>;
  dataFile(): Promise<File>;
  vad(): Promise<Uint8Array>;
  windows(): Promise<Float32Array[]>;
};
