// `npm run fuzz -- --runtime`: onnxruntime loads what shrink_roundtrip writes, of its corpus and of what fuzzing found,
// wherever it loads the model that it was made from.
import { access, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { root, run } from "../tests/support/run.mjs";

/** What onnxruntime says against a model; undefined when nothing. */
async function complaint(path) {
  try {
    const session = await ort.InferenceSession.create(path, { logSeverityLevel: 4 });
    await session.release();
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** Whether every output loads; `program` is the fuzz target, `corpora` are folders of inputs. */
export async function loadOutputs(program, corpora) {
  const folder = join(root, "build/fuzz-outputs");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const args = ["-runs=0", ...corpora];
  const { ok, output } = await run(program, args, { env: { MODELSHRINK_FUZZ_OUTPUTS: folder } });
  if (!ok) {
    console.log(`${output}\n✖ the inputs cannot be run`);
    return false;
  }
  const counts = { loaded: 0, unloadable: 0, outputs: 0, failed: 0 };
  for (const number of await readdir(folder)) {
    const models = (await readdir(join(folder, number))).filter((it) => it !== "in");
    if (await complaint(join(folder, number, "in/m.onnx"))) {
      counts.unloadable += 1;
      continue;
    }
    counts.loaded += 1;
    for (const name of models) {
      const path = join(folder, number, name, "m.onnx");
      await access(path);
      counts.outputs += 1;
      const why = await complaint(path);
      if (why === undefined) continue;
      counts.failed += 1;
      console.log(`✖ ${path}: ${why}`);
    }
  }
  const isRight = counts.failed === 0 && counts.outputs > 0;
  console.log(
    `${isRight ? "✔" : "✖"} onnxruntime loads ${counts.outputs - counts.failed} of ${counts.outputs} outputs of ` +
      `${counts.loaded} models (and not ${counts.unloadable} other models)`,
  );
  return isRight;
}
