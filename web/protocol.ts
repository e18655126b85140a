/** What the page and its worker say to each other. Each request has an id, which its answers repeat. */
import type { Plan, Recipe, Report } from "modelshrink";

export interface Job {
  id: number;
  model: Blob;
  recipe: Recipe;
}

export type Request =
  ({ kind: "plan" } & Job) | ({ kind: "shrink" } & Job) | { kind: "cancel"; id: number };

export type Answer =
  | { kind: "planned"; id: number; plan: Plan }
  | { kind: "progress"; id: number; fraction: number }
  | { kind: "shrunk"; id: number; report: Report; model: Blob; seconds: number }
  | { kind: "cancelled"; id: number }
  | { kind: "failed"; id: number; message: string };
