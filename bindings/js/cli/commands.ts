/** The table of commands. A command is an engine elsewhere and a row here. */
import type { Command, Context, Invocation, Outcome } from "./command.js";
import { completionOf, shells } from "./completion.js";
import { commandHelp, generalHelp } from "./help.js";
import { optionSets } from "./options.js";
import { packNotes, runPack, runUnpack } from "./packing.js";
import { commandNamed } from "./parse.js";
import { runCompare, runInspect, runPlan, runVerify } from "./reading.js";
import { recipeNotes } from "./recipe-options.js";
import { runLayout } from "./layout.js";
import { runRestore, runShrink } from "./writing.js";

const model = { name: "model", count: "one", completes: "path" } as const;
const models = { ...model, count: "many" } as const;
const original = { ...model, name: "original" } as const;
const other = { ...model, name: "other" } as const;

const common = ["timeout-ms", "json", "help", "version"] as const;

const severalNotes = () => [
  "Of several models each gets a line, and all together one. One that fails does not stop the others.",
];

function runHelp({ operands: [name] }: Invocation, { commands }: Context): Promise<Outcome> {
  const text =
    name === undefined ? generalHelp(commands) : commandHelp(commandNamed(name, commands));
  return Promise.resolve({ text: text.trimEnd(), json: { text } });
}

function runCompletion({ operands: [shell = ""] }: Invocation, { commands }: Context) {
  const text = completionOf(shell, commands);
  return Promise.resolve({ text: text.trimEnd(), json: { text } });
}

/** Runs a command that also takes --layout: `run` does what it does without. */
const withLayout =
  (run: Command["run"]): Command["run"] =>
  (invocation, context) =>
    invocation.values.layout === undefined && invocation.values.dtypes === undefined
      ? run(invocation, context)
      : runLayout(invocation, context);

/** All commands, in the order of help. */
export const commands: readonly Command[] = [
  {
    name: "inspect",
    summary: "show what is in a model",
    operands: [models],
    options: ["all", ...common],
    notes: severalNotes,
    examples: ["modelshrink inspect model.onnx"],
    run: runInspect,
  },
  {
    name: "plan",
    summary: "show what shrink would do, with exact sizes, from the headers alone",
    operands: [models],
    options: [
      ...optionSets.layout,
      "max-growth",
      "survey",
      ...optionSets.recipe,
      ...optionSets.samples,
      "all",
      ...common,
    ],
    notes: () => [...recipeNotes(), ...severalNotes()],
    examples: [
      "modelshrink plan https://example.com/model.onnx --recipe q4",
      "modelshrink plan model.onnx --prune structured:0.3",
      "modelshrink plan model.onnx --target-size 1.5MB --survey",
      "modelshrink plan repository/ --layout transformers",
    ],
    run: withLayout(runPlan),
  },
  {
    name: "shrink",
    summary: "write the small model",
    operands: [models],
    options: [
      ...optionSets.output,
      ...optionSets.layout,
      "max-growth",
      ...optionSets.recipe,
      ...optionSets.samples,
      "min-cosine",
      "all",
      ...common,
    ],
    notes: () => [...recipeNotes(), ...severalNotes()],
    examples: [
      "modelshrink shrink model.onnx -o small.onnx --recipe int8",
      "modelshrink shrink *.onnx -o small/ --recipe fp16",
      "modelshrink shrink model.onnx --recipe int8 --mode dynamic --keep '*embed*'",
      "modelshrink shrink model.gguf --recipe Q4_0 --workers 4",
      "modelshrink shrink model.onnx --target-size 1.5MB",
      "modelshrink shrink model.safetensors.index.json -o small/ --resume",
      "modelshrink shrink model.onnx --recipe int4 --gptq --inputs samples/",
      "modelshrink shrink model.onnx --prune sparsegpt:2:4 --inputs samples.npz",
      "modelshrink shrink model.onnx --rule '/layers\\.[0-3]\\./=float16' --json > report.json",
      "modelshrink shrink - -o - < model.onnx > small.onnx",
      "modelshrink shrink repository/ --layout transformers --dtypes q8,q4 -o models/small",
      "modelshrink shrink model.onnx --min-cosine 0.99 --inputs photos/ --resize 224x224 \\\n" +
        "      --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
    ],
    run: withLayout(runShrink),
  },
  {
    name: "restore",
    summary: "write quantized weights as floats again",
    operands: [models],
    options: [
      ...optionSets.output.filter((name) => name !== "dry-run"),
      "max-growth",
      ...optionSets.restore,
      ...["all" as const, ...common],
    ],
    notes: severalNotes,
    examples: [
      "modelshrink restore small.safetensors -o full.safetensors",
      "modelshrink restore model.Q8_0.gguf --weights float16",
    ],
    run: runRestore,
  },
  {
    name: "pack",
    summary: "write a model, a folder or any file into one packed file, losslessly",
    operands: [{ ...model, name: "source" }],
    options: ["output", "quiet", ...common],
    notes: packNotes,
    examples: ["modelshrink pack small.onnx", "modelshrink pack models/small/ -o small.mspk"],
    run: runPack,
  },
  {
    name: "unpack",
    summary: "restore the files of a packed file",
    operands: [{ ...model, name: "packed" }],
    options: ["output", "quiet", "workers", "max-growth", ...common],
    notes: packNotes,
    examples: ["modelshrink unpack small.onnx.mspk", "modelshrink unpack small.mspk -o models/"],
    run: runUnpack,
  },
  {
    name: "compare",
    summary: "show errors and sizes, tensor by tensor",
    operands: [original, other],
    options: ["all", ...common],
    examples: ["modelshrink compare model.onnx model.int8.onnx"],
    run: runCompare,
  },
  {
    name: "verify",
    summary: "run both models on samples and compare their outputs",
    operands: [original, other],
    options: [...optionSets.samples, ...common],
    examples: ["modelshrink verify model.onnx model.int8.onnx --inputs samples.npz"],
    run: runVerify,
  },
  {
    name: "help",
    summary: "show what a command takes",
    operands: [{ name: "command", count: "optional", completes: "command" }],
    options: ["help", "version"],
    examples: ["modelshrink help shrink"],
    run: runHelp,
  },
  {
    name: "completion",
    summary: "write a shell's completion of this command",
    operands: [{ name: "shell", count: "one", completes: shells }],
    options: ["help", "version"],
    examples: [
      'eval "$(modelshrink completion bash)"    # in ~/.bashrc',
      'eval "$(modelshrink completion zsh)"     # in ~/.zshrc, after compinit',
      "modelshrink completion fish > ~/.config/fish/completions/modelshrink.fish",
    ],
    run: runCompletion,
  },
];
