/** The options of the command line: one row each. Parsing, --help, the reference page and completion read it. */
import { dtypeNames, dtypes } from "../layout/dtypes.js";
import type { Recipe } from "../recipe/options.js";
import { restoredTypes } from "../recipe/order.js";
import type { OptionRow } from "./option-row.js";
import {
  type Kebab,
  ownRecipeOptions,
  plainRecipeOptions,
  type RecipeValues,
} from "./recipe-options.js";

const outputOptions = {
  output: {
    kind: "value",
    group: "output",
    short: "o",
    value: "<path>",
    completes: "path",
    sentence: "Where the output goes: a file, a folder, or - for standard output.",
    details: [
      "By default it lies beside the model: <model>.<recipe>.<its ending>, <folder>.<recipe>/; " +
        "restore writes <model>.restored.<its ending>, a layout <repository>.transformers/. " +
        "A folder that is missing is made. For several models it is a folder.",
      "A name that ends in .mspk makes shrink and restore pack what they write. pack writes <source>.mspk by default, and " +
        "unpack its name without that, as a folder where no ending is left.",
    ],
  },
  workers: {
    kind: "value",
    group: "output",
    value: "<number>",
    sentence:
      "The workers beside the main thread; by default one for each core but two, up to 8. 0: none.",
  },
  resume: {
    kind: "flag",
    group: "output",
    sentence: "Goes on where an earlier run was cut off, and keeps what is done at an interrupt.",
  },
  "dry-run": {
    kind: "flag",
    group: "output",
    sentence: "Writes nothing and shows what would be written, as plan does.",
  },
  quiet: {
    kind: "flag",
    group: "output",
    short: "q",
    sentence: "Prints errors only.",
  },
} as const satisfies Record<string, OptionRow>;

const layoutOptions = {
  layout: {
    kind: "value",
    group: "output",
    value: "<transformers>",
    completes: ["transformers"],
    sentence: "Writes a folder that transformers.js loads, of a model repository.",
    details: [
      "The repository is a folder, or one on a hub, such as https://huggingface.co/owner/name. Every .onnx file is written " +
        "in each of --dtypes; config.json, the tokenizer and the like are copied. The output must not be there; it appears " +
        "whole or not at all.",
    ],
  },
  dtypes: {
    kind: "value",
    group: "output",
    value: "<names>",
    completes: dtypeNames,
    sentence: "The number types of --layout, parted by commas; all by default.",
    details: [
      ...dtypeNames.map(
        (name) => `${name} (…${dtypes[name].suffix}.onnx): ${dtypes[name].description}.`,
      ),
    ],
  },
} as const satisfies Record<string, OptionRow>;

const restoreOptions = {
  weights: {
    kind: "value",
    group: "recipe",
    value: `<${restoredTypes.join("|")}>`,
    completes: restoredTypes,
    sentence:
      "The number type of the restored weights; by default the one that they once had, or float32.",
  },
} as const satisfies Record<string, OptionRow>;

const sampleOptions = {
  inputs: {
    kind: "value",
    group: "samples",
    value: "<path>",
    completes: "path",
    sentence: "Samples that the model is run on: a file, or a folder of them.",
    details: [
      "One file is one sample: .npz and .safetensors with one array for each input of the model, by name; " +
        ".npy, .png and .jpg for a model of one input. A folder is a list of samples, in the order of their names; " +
        "a folder of <input>.npy files is one sample.",
      'JSON is one sample or a list: [{"<input>": {"data": [numbers], "dims": [1, 3], "type": "float32"}}, …].',
      "Arrays go into the model as they are, with their batch axis and their type (float32 for most models).",
      "The model runs in onnxruntime-node, which must be installed: npm install onnxruntime-node.",
    ],
  },
  "input-name": {
    kind: "value",
    group: "samples",
    value: "<name>",
    sentence: "The input that .npy files and images feed; not needed where there is only one.",
  },
  "min-cosine": {
    kind: "value",
    group: "samples",
    value: "<number>",
    sentence: "Shrinks less until every output is this near the original's.",
    details: [
      "The cosine of each output with the original's, such as 0.99. Tensors get 8 bits where the recipe says 4, then " +
        "stay as they were; those first that harm the most for their bytes.",
    ],
  },
} as const satisfies Record<string, OptionRow>;

const imageOptions = {
  resize: {
    kind: "value",
    group: "images",
    value: "<width>x<height>",
    sentence: "Scales images to this size, in pixels.",
  },
  channels: {
    kind: "value",
    group: "images",
    value: "<rgb|bgr|gray>",
    completes: ["rgb", "bgr", "gray"],
    sentence: "The channels of the model's input and their order; rgb by default.",
  },
  mean: {
    kind: "value",
    group: "images",
    value: "<numbers>",
    sentence: "Is subtracted from pixels, which are 0 to 1; one number, or one a channel.",
    details: ["Write a negative number as --mean=-1."],
  },
  std: {
    kind: "value",
    group: "images",
    value: "<numbers>",
    sentence: "Divides pixels then; one number, or one a channel.",
  },
  "image-layout": {
    kind: "value",
    group: "images",
    value: "<nchw|nhwc>",
    completes: ["nchw", "nhwc"],
    sentence: "The order of the input's axes; nchw by default.",
  },
} as const satisfies Record<string, OptionRow>;

const planOptions = {
  "max-growth": {
    kind: "value",
    group: "output",
    value: "<number>",
    sentence:
      "The most bytes that an output of more than 1 MiB may have for each byte of the model; 10 by default, of unpack 1000.",
  },
} as const satisfies Record<string, OptionRow>;

const surveyOptions = {
  survey: {
    kind: "flag",
    group: "output",
    sentence: "Reads the weights, too, and shows about how large the packed output is.",
  },
} as const satisfies Record<string, OptionRow>;

const readingOptions = {
  "timeout-ms": {
    kind: "value",
    group: "other",
    value: "<number>",
    sentence: "The longest time in milliseconds that a server may send nothing; 30000 by default.",
  },
} as const satisfies Record<string, OptionRow>;

const otherOptions = {
  all: {
    kind: "flag",
    group: "other",
    sentence: "Lists every tensor; without it the 20 largest.",
  },
  json: {
    kind: "flag",
    group: "other",
    sentence: "Prints the result as JSON, and nothing else, on standard output.",
    details: [
      'An error is {"schemaVersion": 1, "error": {"code", "message", "tensor", "offset"}}.',
    ],
  },
  help: { kind: "flag", group: "other", short: "h", sentence: "Shows this text." },
  version: { kind: "flag", group: "other", sentence: "Shows the version of modelshrink." },
} as const satisfies Record<string, OptionRow>;

const table = {
  ...outputOptions,
  ...layoutOptions,
  ...restoreOptions,
  ...sampleOptions,
  ...imageOptions,
  ...planOptions,
  ...surveyOptions,
  ...readingOptions,
  ...otherOptions,
} as const satisfies Record<string, OptionRow>;

type OwnName = keyof typeof table;

/** The long name of an option, without its dashes. */
export type OptionName = OwnName | keyof typeof ownRecipeOptions | Kebab<keyof Recipe>;

type ValueOf<Kind> = Kind extends "flag" ? boolean : string;

/** The values of options on a command line; absent where it has none. */
export type OptionValues = RecipeValues & {
  [Name in OwnName]?: ValueOf<(typeof table)[Name]["kind"]>;
};

/** Every option by its name. */
export const options: Readonly<Record<OptionName, OptionRow>> = {
  ...(plainRecipeOptions as Record<Kebab<keyof Recipe>, OptionRow>),
  ...ownRecipeOptions,
  ...table,
};

const namesOf = (part: object) => Object.keys(part) as OptionName[];

/** Options that belong together, as rows of the table of commands name them. */
export const optionSets = {
  output: namesOf(outputOptions),
  layout: namesOf(layoutOptions),
  restore: namesOf(restoreOptions),
  recipe: [...namesOf(ownRecipeOptions), ...namesOf(plainRecipeOptions)],
  samples: [...namesOf(sampleOptions), ...namesOf(imageOptions)].filter(
    (name) => name !== "min-cosine",
  ),
} as const;
