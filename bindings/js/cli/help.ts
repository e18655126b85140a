import { type FormatName, formats } from "../base/formats.js";
import { presets, presetsOf } from "../recipe/presets.js";
import type { CommandName } from "./args.js";

const synopses: Record<CommandName, string> = {
  inspect: "modelshrink inspect <model>                 show what is in a model",
  plan: "modelshrink plan <model> [recipe options]   show what shrink would do, exact sizes",
  shrink: "modelshrink shrink <model> [-o <output>] [recipe options]   write the small model",
  restore: "modelshrink restore <model> [-o <output>]   quantized weights as floats again",
  compare: "modelshrink compare <original> <other>      errors and sizes, tensor by tensor",
  verify: "modelshrink verify <original> <other> --inputs <data.json>   compare their outputs",
};

const examples: Record<CommandName, string[]> = {
  inspect: ["modelshrink inspect model.onnx"],
  plan: ["modelshrink plan https://example.com/model.onnx --recipe q4"],
  shrink: [
    "modelshrink shrink model.onnx",
    "modelshrink shrink model.onnx -o small.onnx --recipe fp16",
    "modelshrink shrink model.onnx --recipe int8 --mode dynamic --keep '*embed*'",
    "modelshrink shrink model.gguf --recipe Q4_0 --workers 4",
    "modelshrink shrink model.safetensors.index.json -o small/ --resume",
    "modelshrink shrink model.onnx --recipe int4 --gptq --inputs samples.json",
    "modelshrink shrink model.onnx --prune sparsegpt:2:4 --inputs samples.json",
    "modelshrink shrink model.onnx --rule '/layers\\.[0-3]\\./=float16' --json > report.json",
  ],
  restore: ["modelshrink restore small.safetensors -o full.safetensors"],
  compare: ["modelshrink compare model.onnx model.int8.onnx"],
  verify: ["modelshrink verify model.onnx model.int8.onnx --inputs samples.json"],
};

const recipeHelp = () => `Recipe options:
  --recipe <name|file.json>  a preset (below) or a recipe file; int8 when left out, but
                             for --prune and --sparse alone, which leave the types
  --mode <mode>              how quantized weights are written into ONNX:
                               storage  loads everywhere, runs at float speed (default)
                               dynamic  integer arithmetic, fast on WebAssembly
                               lowmem   4 or 8 bits in memory too
  --strip                    leave out names and texts that no runtime needs (ONNX)
  --requantize               weights that are quantized already, too
  --non-finite <error|zero>  a NaN or an infinity ends the run (default) or is written as 0
  --prune <method:amount>    weights that become zero: magnitude:0.5 random:0.5, or sharing it
                             among tensors erk:0.5 global:0.5 lamp:0.5; 2:4 (of each 4 inputs
                             2 stay); with --inputs wanda:0.5 sparsegpt:0.5 obc:0.5 wanda:2:4 …
                             structured:0.3: whole channels leave an ONNX graph, which
                             gets faster, too (multiples of 8 stay: a recipe's multipleOf);
                             with --inputs what reads them is fitted anew
  --refit                    with --prune and --inputs: fit the surviving weights anew
  --sparse                   leave out the zeros of weights that stay floats (ONNX, safetensors)
  --gptq                     with --inputs: later weights make up for rounding errors
  --keep <glob>              leave these tensors alone; may be given again
  --rule <glob>=<type>       another type for these tensors, of any size; may be given again
Types: int8 uint8 int16 uint16 int4 uint4 float16 bfloat16 float8e4m3 float8e5m2,
and for GGUF Q8_0 Q5_1 Q5_0 Q4_1 Q4_0. A format without a type takes the nearest, or leaves
the weights and says so.
A glob's * is any text and ? one character; /…/ is a regular expression. The first match decides.

Presets:
${Object.entries(presets)
  .map(([name, { description }]) => `  ${name.padEnd(8)} ${description}`)
  .join("\n")}
${(Object.keys(formats) as FormatName[])
  .map((format) => `For ${formats[format].title}: ${presetsOf(format).join(" ")}.`)
  .join("\n")}

A recipe file is JSON: {"weights": "int4", "rules": [{"match": "*norm*", "keep": true}]}. Keys:
weights, prune ({"method": "magnitude", "sparsity": 0.5}), gptq, actOrder, mode,
granularity (tensor, axis, block), blockSize, symmetric, minElements (1024), nonFinite,
sparse, strip, requantize, rules; the weights, prune or keep of a rule hold for what match names.`;

const outputHelp = `Output options:
  -o, --output <path>        a file, or a folder for several; by default beside the model:
                             <model>.<recipe>.<its ending>, <folder>.<recipe>/
  --workers <number>         threads; by default one less than there are cores, up to 4
  --resume                   go on where an earlier run was cut off, and keep what is done when
                             this one is interrupted`;

const inputsHelp = `Samples:
  --inputs <data.json>       [{"<input>": {"data": [numbers], "dims": [1, 3], "type": "float32"}},
                             …]: what the model is run on, in onnxruntime-node, which must be
                             installed (npm install onnxruntime-node)
  --min-cosine <number>      of shrink: leave tensors as they were, the worst first, until every
                             output's cosine with the original's is at least this, such as 0.99`;

const otherHelp = `Other options:
  --json       print the result as JSON, and nothing else, on standard output
  -h, --help   this text; modelshrink <command> --help for one command
  --version    the version of modelshrink

A model is a file, a folder, an index (model.safetensors.index.json, model.json, the first of
several .gguf) or an http(s) URL of one; the other files are found beside it.
Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`;

const indent = (lines: string[]) => lines.map((line) => `  ${line}`).join("\n");

export function generalHelp(): string {
  return `modelshrink makes models small: ONNX, safetensors, GGUF, TensorFlow.js.

Usage:
${indent(Object.values(synopses))}

${outputHelp}

${recipeHelp()}

${inputsHelp}

${otherHelp}

Examples:
${indent(Object.values(examples).flat())}
`;
}

export function commandHelp(command: CommandName): string {
  const takesRecipe = command === "plan" || command === "shrink";
  return [
    `Usage:\n${indent([synopses[command]])}`,
    ...(command === "shrink" || command === "restore" ? [outputHelp] : []),
    ...(takesRecipe ? [recipeHelp()] : []),
    ...(takesRecipe || command === "verify" ? [inputsHelp] : []),
    otherHelp,
    `Examples:\n${indent(examples[command])}\n`,
  ].join("\n\n");
}
