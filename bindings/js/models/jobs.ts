/** The jobs that are done as a whole, by one thread: this one, or a worker of the pool. */
import { unwrap } from "../core/load.js";
import type {
  CoreModel,
  CoreModule,
  CorePlan,
  CoreResult,
  CoreSteps,
  CoreSurvey,
} from "../core/types.js";
import { rangesAheadOf, rangesOf } from "../files/ranges.js";
import type { Order } from "../recipe/specs.js";
import type { OpenModel } from "./open.js";
import type { Results, WholeJob } from "./protocol.js";
import { callLive, runSteps, type StepHost, release } from "./steps.js";
import { poolFor } from "./workers.js";

/** A job that has begun. It lives in the core: to be released. */
export interface BegunJob {
  run: CoreSteps & { delete(): void };
  /** Gives the result; after the last step. */
  result: () => Results[keyof Results];
}

/** Makes a survey of what an order asks for; it needs the plan for its beginning alone. */
function surveyOf(
  core: CoreModule,
  model: CoreModel,
  { specs, which, options }: Order,
  survey: (plan: CorePlan) => CoreResult<CoreSurvey>,
): CoreSurvey {
  const plan = callLive(core, () => unwrap(model.plan(specs, which, options)));
  try {
    return callLive(core, () => unwrap(survey(plan)));
  } finally {
    release(core, plan);
  }
}

/** Begins a job with the models that it takes, one or two. */
export function beginJob(core: CoreModule, models: readonly CoreModel[], job: WholeJob): BegunJob {
  const [model, other] = models as [CoreModel, CoreModel];
  switch (job.kind) {
    case "compare": {
      const run = callLive(core, () => unwrap(core.compareModels(model, other)));
      return { run, result: () => run.report() };
    }
    case "shares": {
      const { tensors, allocation, sparsity } = job;
      const run = callLive(core, () => unwrap(model.survey(tensors, allocation, sparsity)));
      return { run, result: () => run.shares() };
    }
    case "channels": {
      const run = surveyOf(core, model, job.order, (plan) => plan.surveyChannels());
      return { run, result: () => run.removedChannels() };
    }
    case "rates": {
      const run = surveyOf(core, model, job.order, (plan) => plan.surveyRates(job.groups));
      return { run, result: () => unwrap(run.rates()) };
    }
  }
}

/** Does all steps of a job, and gives its result. `onProgress` is as for {@link runJob}. */
export async function finishJob(
  { run, result }: BegunJob,
  host: StepHost,
  onProgress: (bytes: number, tensor?: number) => void,
): Promise<Results[keyof Results]> {
  const onTensor = (tensor: number) => {
    onProgress(0, tensor);
  };
  await runSteps(run, { ...host, onRead: onProgress, onTensor });
  return callLive(host.core, result);
}

/**
 * Does a job with the models that it takes, in a worker where `workers` and their size allow it. `onProgress` hears of
 * the bytes that were read, and of the tensors that are done.
 */
export async function runJob<Job extends WholeJob>(
  models: readonly OpenModel[],
  job: Job,
  workers: number | undefined,
  onProgress: (bytes: number, tensor?: number) => void,
): Promise<Results[Job["kind"]]> {
  const { core, pacer } = models[0]!;
  const files = models.map((model) => model.files);
  const host = { pacer, models: files, inputs: files.map(rangesOf), job, onProgress };
  const extent = {
    bytes: files.flat().reduce((bytes, { size }) => bytes + size, 0),
    tensors: models.reduce((tensors, { info }) => tensors + info.tensors.length, 0),
  };
  const pool = await poolFor(host, workers, extent);
  const found = await pool?.runWhole<Job["kind"]>();
  if (found !== undefined) return found;
  const coreModels = models.map(({ model }) => model);
  const begun = beginJob(core, coreModels, job);
  try {
    const inputs = files.map(rangesAheadOf);
    return (await finishJob(begun, { core, pacer, inputs }, onProgress)) as Results[Job["kind"]];
  } finally {
    release(core, begun.run);
  }
}
