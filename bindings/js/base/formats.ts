/** The model formats, a row each: their names and those of their files. */

interface Format {
  /** The name that people know. */
  title: string;
  /**
   * The names of a model's main file. Where a set of files has several candidates, the lowest `preference`
   * decides: files that name others come before files that may be one of those.
   */
  mainFiles: readonly { pattern: RegExp; preference: number }[];
  /** The ending of the main output file's name, without the dot. */
  extension: (numFiles: number) => string;
  /** What a file begins with, a character for each byte; ONNX files begin in many ways. */
  begins?: RegExp;
}

/** The model formats that are read and written. */
export type FormatName = "onnx" | "safetensors" | "gguf" | "tfjs";

/** All formats by name. */
export const formats: Readonly<Record<FormatName, Format>> = {
  onnx: {
    title: "ONNX",
    mainFiles: [{ pattern: /\.onnx$/i, preference: 2 }],
    extension: () => "onnx",
  },
  safetensors: {
    title: "safetensors",
    mainFiles: [
      { pattern: /\.index\.json$/i, preference: 0 },
      { pattern: /\.safetensors$/i, preference: 5 },
    ],
    extension: (numFiles) => (numFiles > 1 ? "json" : "safetensors"),
    // The length of the header in 8 bytes, then the header.
    begins: /^[^]{4}\0{4}\{/,
  },
  gguf: {
    title: "GGUF",
    mainFiles: [
      { pattern: /-0*1-of-\d+\.gguf$/i, preference: 3 },
      { pattern: /\.gguf$/i, preference: 4 },
    ],
    extension: () => "gguf",
    begins: /^GGUF/,
  },
  tfjs: {
    title: "TensorFlow.js",
    mainFiles: [{ pattern: /(^|\/)model\.json$/i, preference: 1 }],
    extension: () => "json",
    begins: /^\s*\{/,
  },
};

/** The number of bytes that tell of which format a file is. */
export const headBytes = 16;

/** Gives a name to a model that has none, from its first bytes: "model.gguf", say. */
export function nameFromHead(head: Uint8Array): string {
  const text = new TextDecoder("latin1").decode(head);
  const format = Object.values(formats).find(({ begins }) => begins?.test(text)) ?? formats.onnx;
  return `model.${text.startsWith("MSPK") ? packExtension : format.extension(1)}`;
}

/** The patterns of main files' names, the preferred ones first. */
export const mainFilePatterns: readonly RegExp[] = Object.values(formats)
  .flatMap(({ mainFiles }) => mainFiles)
  .sort((a, b) => a.preference - b.preference)
  .map(({ pattern }) => pattern);

/** Tells whether a model's main file may have this name. */
export const isMainFile = (name: string): boolean =>
  mainFilePatterns.some((pattern) => pattern.test(name));

/** The endings of an ONNX model's name for its number types, as transformers.js looks for them. */
const variant = /_(?:fp16|quantized|int8|uint8|bnb4|q[124](?:f16)?)(?=\.onnx$)/i;

/** The name of the ONNX model whose weights are stored otherwise in `name`: "model.onnx" of "model_q4.onnx", or `name`. */
export const plainNameOf = (name: string): string => name.replace(variant, "");

/** Tells whether `name` is the ONNX model `plain` with its weights stored otherwise. */
export const isVariantOf = (name: string, plain: string): boolean =>
  name !== plain && plainNameOf(name) === plain;

/** The names of what lies beside a model and is used with it: configurations, vocabularies, its licence. */
export const companion = /^[^.].*\.(json|jinja|model|txt)$|^(README|LICEN[CS]E|NOTICE)(\.\w+)?$/i;

/** The endings of main files' names, each once, without the dot. */
export const mainFileExtensions: readonly string[] = [
  ...new Set(Object.values(formats).flatMap(({ extension }) => [extension(1), extension(2)])),
];

/** The ending of a packed file's name, without the dot. */
export const packExtension = "mspk";
