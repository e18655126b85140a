/** Models whose structure is read, and their release whatever happens. */
import { aboutFile } from "../base/errors.js";
import { Meter } from "../base/meter.js";
import { Pacer } from "../base/pace.js";
import { loadCore, unwrap } from "../core/load.js";
import { wholeCore } from "../core/whole.js";
import { modelRows, type ModelRows } from "../core/table.js";
import type { CoreModel, CoreModule } from "../core/types.js";
import { attend, openSource, type FileSetSource } from "../files/open.js";
import type { OpenFile, OpenFileSet, Source } from "../files/source.js";
import { callLive, readModel, release } from "./steps.js";
import type { RunOptions } from "./types.js";

/** A model whose structure the core has read. */
export interface OpenModel {
  core: CoreModule;
  model: CoreModel;
  /** The structure that the headers describe. */
  readonly info: ModelRows;
  /** The files in the core's order; the main one comes first. */
  files: OpenFile[];
  pacer: Pacer;
}

/** The bytes of a file that are enough to know its format. */
const headBytes = 64;

/** Reads the structure of a model whose files are open already. */
export async function readStructure(
  core: CoreModule,
  source: OpenFileSet,
  options: RunOptions,
): Promise<OpenModel> {
  const { main } = source;
  const head = await main.read(0, Math.min(headBytes, main.size));
  let model: CoreModel;
  try {
    model = callLive(core, () => unwrap(core.openModel(main.name, main.size, head)));
  } catch (error) {
    throw aboutFile(main.name, error);
  }
  try {
    const pacer = new Pacer(options.signal);
    const meter = new Meter(options, "read", main.size);
    const files = await readModel(model, source, {
      core,
      pacer,
      onRead: (range) => {
        if (range.file === 0) meter.advanceTo(range.offset + range.size);
      },
    });
    meter.advanceTo(main.size);
    let info: ModelRows | undefined;
    return {
      core,
      model,
      files,
      pacer,
      get info() {
        // Workers do without.
        return (info ??= modelRows(callLive(core, () => unwrap(model.info()))));
      },
    };
  } catch (error) {
    release(core, model);
    throw error;
  }
}

/** Opens a model and reads its structure, does `work`, and closes everything whatever happens. */
export async function withModel<T>(
  source: Source | FileSetSource,
  options: RunOptions,
  work: (opened: OpenModel) => Promise<T>,
): Promise<T> {
  options.signal?.throwIfAborted();
  attend(source);
  const core = await loadCore(wholeCore);
  const opened = await openSource(source, options);
  let model: OpenModel | undefined;
  try {
    model = await readStructure(core, opened, options);
    return await work(model);
  } finally {
    release(core, model?.model);
    await opened.close();
  }
}
