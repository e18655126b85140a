/** What all kinds of trial have in common for the panel that shows them. */
import type { Runner } from "./runner.js";
import type { Verdict } from "./verdict.js";

/** A trial of one offer. */
export interface View {
  /** What it shows beside the verdict; it may be empty until it was run. */
  body: HTMLElement;
  /** What verdicts stand on, in a sentence. */
  bounds: string;
  /** Runs the models, and shows what came out. Rejects with the reason in words where they cannot be run. */
  run(runner: Runner, onProgress: (fraction: number) => void): Promise<Verdict>;
}
