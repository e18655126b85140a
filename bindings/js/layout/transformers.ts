/** Folders that transformers.js loads, made of a model repository: every model in every number type that is asked for. */
import { callUser } from "../base/door.js";
import { ArgumentError, UnsupportedError } from "../base/errors.js";
import type { Progress } from "../base/meter.js";
import { checkBoolean, checkKeys, checkObject, checkOneOf, list, show } from "../base/options.js";
import { openSource } from "../files/open.js";
import { openRepository, type Repository } from "../files/repository.js";
import type { OpenFile } from "../files/source.js";
import { checkRunOptions, readingOf, runKeys } from "../models/options.js";
import { refuseMissing } from "../models/missing-files.js";
import { planModel } from "../models/plan.js";
import type { FileInfo, Plan, WriteOptions, WriteResult } from "../models/types.js";
import { shrinkModel, type AnySource, type OwnOutput } from "../models/write.js";
import { checkRecipe, type CheckedRecipe } from "../recipe/check.js";
import { recipeOptions, type Recipe } from "../recipe/options.js";
import type { Guard, GuardOutcome } from "../runtime/guard.js";
import { configFor } from "./config.js";
import { dtypeNames, dtypes, type Dtype } from "./dtypes.js";
import {
  checkApart,
  chooseFiles,
  configName,
  type RepositoryFiles,
  type RepositoryModel,
} from "./files.js";
import { keptIn } from "./kept.js";
import { fileOf, openOutput, writeFile, type LayoutOutput } from "./output.js";
import type {
  LayoutModel,
  LayoutOptions,
  LayoutPlan,
  LayoutPlanOptions,
  LayoutResult,
  PlannedLayoutModel,
} from "./types.js";

/** The most bytes of a file that is copied: the largest vocabularies have a tenth. */
const maxCompanionBytes = 1 << 28;

/** The words of a recipe that a dtype decides. */
const ownWords: readonly (keyof Recipe)[] = ["weights", "target", "mode", "symmetric"];

const planKeys = [...runKeys, "layout", "dtypes", "maxGrowth"] as const;
const writeKeys = [...planKeys, "sink", "workers", "resume", "guard"] as const;

/** One output: a model in one number type. */
interface Job {
  model: RepositoryModel;
  dtype: Dtype;
  /** The name of the main file. */
  mainName: string;
  recipe: Recipe;
}

/** A job, and what it will write. */
interface PlannedJob extends Job {
  plan: Plan;
}

function checkDtypes(value: unknown): readonly Dtype[] {
  if (value === undefined) return dtypeNames;
  if (!Array.isArray(value) || value.length === 0) {
    throw new ArgumentError(`dtypes is ${show(value)}; it must be a list of ${list(dtypeNames)}.`);
  }
  return [...new Set(value.map((it: unknown) => checkOneOf("dtypes", it, dtypeNames)))];
}

/** Gives the recipe of each job: the dtype's words, and the caller's others. */
async function jobsFor(
  models: readonly RepositoryModel[],
  names: readonly Dtype[],
  words: Recipe,
): Promise<Job[]> {
  const own = ownWords.filter((word) => words[word] !== undefined);
  if (own.length > 0) {
    throw new ArgumentError(`The dtypes of the layout decide ${list(own)}: leave that out.`);
  }
  const jobs: Job[] = [];
  for (const model of models) {
    for (const dtype of names) {
      const { suffix, recipe } = dtypes[dtype];
      jobs.push({
        model,
        dtype,
        mainName: `${model.stem}${suffix}.onnx`,
        recipe: { ...words, ...recipe },
      });
    }
  }
  for (const { recipe } of jobs.slice(0, names.length)) await checkRecipe(recipe);
  return jobs;
}

/** Gives a job's files by their paths; throws where transformers.js would not look for its data. */
function pathsOf(
  { model: { name, folder }, mainName }: Job,
  files: readonly FileInfo[],
): FileInfo[] {
  for (const { name: data } of files.slice(1)) {
    if (data === `${mainName}_data`) continue;
    throw new UnsupportedError(
      `"${name}" keeps its data in "${data}", which cannot be renamed as transformers.js needs it.`,
    );
  }
  return files.map((file) => ({ name: folder + file.name, bytes: file.bytes }));
}

/** Passes the progress of writing on, as a part of all jobs'. */
function progressFrom(done: number, total: number, { onProgress }: LayoutOptions) {
  return (progress: Progress) => {
    if (progress.phase === "write")
      onProgress?.({ ...progress, done: done + progress.done, total });
  };
}

async function planJobs(
  repository: Repository,
  jobs: readonly Job[],
  { maxGrowth, ...options }: LayoutPlanOptions,
): Promise<PlannedJob[]> {
  const planned: PlannedJob[] = [];
  const running = { ...readingOf(options), maxGrowth };
  for (const job of jobs) {
    const source = await repository.open(job.model.name);
    const plan = await planModel(source, job.recipe, running, job.mainName);
    refuseMissing(plan.tensors);
    planned.push({ ...job, plan });
  }
  return planned;
}

/** Gives the guard of a model; undefined for none. */
function guardOf(
  { guard }: LayoutOptions,
  model: { input: string; dtype: Dtype },
): Guard | undefined {
  return typeof guard === "function" ? callUser(() => guard(model)) : guard;
}

/** Writes a model, under a guard where there is one. */
async function writeModel(
  open: () => Promise<AnySource>,
  recipe: CheckedRecipe,
  guard: Guard | undefined,
  options: WriteOptions,
  output: OwnOutput,
): Promise<WriteResult & { guard?: GuardOutcome }> {
  if (guard === undefined) return shrinkModel(await open(), recipe, options, output);
  // Only who asks for a guard downloads it.
  const { writeGuarded } = await import("../runtime/guard.js");
  return writeGuarded(open, recipe, guard, options, output);
}

async function writeModels(
  repository: Repository,
  jobs: readonly PlannedJob[],
  output: LayoutOutput,
  options: LayoutOptions,
): Promise<LayoutModel[]> {
  const { maxGrowth, workers } = options;
  const total = jobs.reduce((sum, { plan }) => sum + plan.outputBytes, 0);
  const running = {
    ...readingOf(options),
    maxGrowth,
    ...(workers === undefined ? {} : { workers }),
  };
  const models: LayoutModel[] = [];
  let done = 0;
  for (const job of jobs) {
    const { model, dtype, plan, recipe, mainName } = job;
    const onProgress = progressFrom(done, total, options);
    const target = output.targetIn?.(model.folder);
    const sink = target ? undefined : output.sinkIn(model.folder);
    const { files, report, guard } = await writeModel(
      () => repository.open(model.name),
      await checkRecipe(recipe),
      guardOf(options, { input: model.name, dtype }),
      { ...running, onProgress, ...(sink === undefined ? {} : { sink }) },
      { name: mainName, check: refuseMissing, ...(target ? { target } : {}) },
    );
    done += plan.outputBytes;
    for (const [name, blob] of Object.entries(files)) output.files[model.folder + name] = blob;
    models.push({
      input: model.name,
      dtype,
      files: pathsOf(job, report.files),
      report,
      ...(guard ? { guard } : {}),
    });
  }
  return models;
}

/** Calls `work` with a file that lies beside the models; throws an UnsupportedError where it is too large. */
async function withCompanion<T>(
  repository: Repository,
  name: string,
  options: LayoutPlanOptions,
  work: (file: OpenFile) => Promise<T>,
): Promise<T> {
  const opened = await openSource(await repository.open(name), readingOf(options));
  try {
    const { size } = opened.main;
    if (size > maxCompanionBytes) {
      throw new UnsupportedError(
        `"${name}" has ${size} bytes; at most ${maxCompanionBytes} are copied.`,
      );
    }
    return await work(opened.main);
  } finally {
    await opened.close();
  }
}

/**
 * Gives the names of main files whose data is in another. Throws an UnsupportedError where a model in another folder has
 * such a name and its data inside: transformers.js is told by the name alone.
 */
function externalNames(jobs: readonly PlannedJob[]): string[] {
  const byName = new Map<string, PlannedJob>();
  for (const job of jobs) {
    const isExternal = job.plan.files.length > 1;
    const other = byName.get(job.mainName) ?? job;
    if (other.plan.files.length > 1 !== isExternal) {
      const [outside, inside] = isExternal ? [job, other] : [other, job];
      throw new UnsupportedError(
        `"${outside.model.name}" has data in another file, and "${inside.model.name}" has not: transformers.js cannot ` +
          "tell such models of one name apart.",
      );
    }
    byName.set(job.mainName, job);
  }
  return [...byName.values()].flatMap(({ plan, mainName }) =>
    plan.files.length > 1 ? [mainName] : [],
  );
}

/** Gives the config.json of the output, which says which models have data in other files. */
async function newConfig(
  repository: Repository,
  jobs: readonly PlannedJob[],
  options: LayoutPlanOptions,
): Promise<Uint8Array> {
  const written = [...new Set(jobs.map(({ dtype }) => dtype))];
  const external = externalNames(jobs);
  const bytes = await withCompanion(
    repository,
    configName,
    options,
    // A copy, for the models are written before it.
    async (file) => new Uint8Array(await file.read(0, file.size)),
  );
  const text = configFor(new TextDecoder().decode(bytes), written, external);
  return text === undefined ? bytes : new TextEncoder().encode(text);
}

/** Gives the config.json of what was written: under a guard that may be more than was planned. */
function configOf(
  repository: Repository,
  jobs: readonly PlannedJob[],
  models: readonly LayoutModel[],
  options: LayoutOptions,
): Promise<Uint8Array> {
  const written = jobs.map((job, i) => ({
    ...job,
    plan: { ...job.plan, files: models[i]!.report.files },
  }));
  return newConfig(repository, written, options);
}

/** Copies what lies beside the models, but for config.json, whose content is `config`. */
async function copyCompanions(
  repository: Repository,
  names: readonly string[],
  config: Uint8Array,
  output: LayoutOutput,
  options: LayoutOptions,
): Promise<void> {
  for (const name of names) {
    options.signal?.throwIfAborted();
    if (name === configName) await writeFile(output, name, fileOf(name, config));
    else await withCompanion(repository, name, options, (file) => writeFile(output, name, file));
  }
}

/** What `models` and `planned`, which are of the same jobs, have in common. */
function summaryOf<Model extends LayoutModel | PlannedLayoutModel>(
  models: Model[],
  planned: readonly PlannedJob[],
  { companions, leftOut }: RepositoryFiles,
) {
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((all, it) => all + it, 0);
  const inputs = new Map(planned.map(({ model, plan }) => [model.name, plan.inputBytes]));
  return {
    layout: "transformers" as const,
    inputBytes: sum(inputs.values()),
    outputBytes: sum(models.flatMap(({ files }) => files.map(({ bytes }) => bytes))),
    models,
    copied: companions,
    leftOut,
  };
}

/** A repository, and what is to be made of it. */
interface Order {
  repository: Repository;
  files: RepositoryFiles;
  jobs: Job[];
}

async function orderOf(
  source: unknown,
  words: unknown,
  options: LayoutPlanOptions,
  keys: readonly string[],
): Promise<Order> {
  checkRunOptions(options, keys);
  checkOneOf("layout", options.layout, ["transformers"]);
  const given = checkObject("The recipe of a layout", words ?? {});
  checkKeys("recipe", given, Object.keys(recipeOptions));
  const names = checkDtypes(options.dtypes);
  const repository = await openRepository(source, readingOf(options));
  const files = chooseFiles(repository.names);
  return { repository, files, jobs: await jobsFor(files.models, names, given) };
}

/** What is known of an output before its first byte is written. */
interface PlannedOutput {
  jobs: PlannedJob[];
  /** The content of its config.json. */
  config: Uint8Array;
}

/** Plans all outputs; throws for what cannot be written. `repository` is where the models are read. */
async function planOutput(
  { repository: named, files, jobs: wanted }: Order,
  repository: Repository,
  options: LayoutPlanOptions,
): Promise<PlannedOutput> {
  const jobs = await planJobs(repository, wanted, options);
  const outputs = jobs.flatMap((job) => pathsOf(job, job.plan.files).map(({ name }) => name));
  checkApart([...outputs, ...files.companions]);
  return { jobs, config: await newConfig(named, jobs, options) };
}

/** Says what {@link shrinkRepository} would write, and fails where it would before it writes. */
export async function planRepository(
  source: unknown,
  words: unknown,
  options: LayoutPlanOptions,
): Promise<LayoutPlan> {
  const order = await orderOf(source, words, options, planKeys);
  const { jobs } = await planOutput(order, order.repository, options);
  const models = jobs.map((job) => ({
    ...{ input: job.model.name, dtype: job.dtype, plan: job.plan },
    files: pathsOf(job, job.plan.files),
  }));
  return summaryOf(models, jobs, order.files);
}

/**
 * Writes a folder that transformers.js loads. All outputs are planned before the first is written, so that what cannot be
 * done fails at once.
 *
 * @param source - The repository; see `openRepository`.
 * @param words - Words of a recipe that hold for every model and dtype, such as rules.
 */
export async function shrinkRepository(
  source: unknown,
  words: unknown,
  options: LayoutOptions,
): Promise<LayoutResult> {
  const order = await orderOf(source, words, options, writeKeys);
  const { repository: named, files } = order;
  const isResuming = checkBoolean("resume", options.resume ?? false);
  const output = await openOutput(options.sink, isResuming, named.path);
  try {
    // Each model is read once for each dtype.
    const { scratch } = output;
    const kept =
      named.remote && scratch !== undefined
        ? await keptIn(scratch, named.remote, options)
        : undefined;
    const repository = kept?.repository ?? named;
    const { jobs, config } = await planOutput(order, repository, options);
    // All come before anything is written: what was made of others is none of this run's.
    if (kept?.hasCome()) await output.startOver?.();
    const written = await writeModels(repository, jobs, output, options);
    const content = options.guard ? await configOf(named, jobs, written, options) : config;
    await copyCompanions(named, files.companions, content, output, options);
    options.signal?.throwIfAborted();
    const paths = written.flatMap((it) => it.files.map(({ name }) => name));
    await output.commit([...paths, ...files.companions]);
    return { files: output.files, report: summaryOf(written, jobs, files) };
  } catch (error) {
    // The failure matters more than a folder that could not be removed.
    await output.abort().catch(() => undefined);
    throw error;
  }
}
