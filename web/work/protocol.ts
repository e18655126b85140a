/** What the page and its worker say to each other. Each request has an id, which its answers repeat. */
import type { FormatName, Plan, Recipe, Report } from "modelshrink";
import type { Files } from "../open/files.js";

export interface Job {
  id: number;
  model: Files;
  recipe: Recipe;
}

export type Request =
  | { kind: "open"; id: number; model: Files }
  | ({ kind: "plan" } & Job)
  | ({ kind: "shrink" } & Job)
  | { kind: "cancel"; id: number }
  /** Nobody needs the files of this "shrunk" any more. */
  | { kind: "release"; id: number };

export type Answer =
  /** `names`: the model's files, the main one first; `suggested`: a preset. */
  | { kind: "opened"; id: number; format: FormatName; names: string[]; suggested: string }
  | { kind: "planned"; id: number; plan: Plan }
  | { kind: "progress"; id: number; fraction: number }
  | { kind: "shrunk"; id: number; report: Report; files: Files; seconds: number }
  | { kind: "cancelled"; id: number }
  | { kind: "failed"; id: number; message: string };
