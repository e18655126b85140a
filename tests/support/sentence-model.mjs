// A repository of a sentence encoder as transformers.js loads it, with a vocabulary of a few words and weights like noise:
// the files by their paths.
import { int64, noise } from "./onnx-graphs.mjs";
import { bytes, initializer, number, string } from "./onnx.mjs";

export const columns = 64;
export const words = [
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "small",
  "models",
  "load",
  "faster",
  "than",
  "large",
  "ones",
];

function node(opType, inputs, output) {
  const names = [...inputs.map((it) => string(1, it)), string(2, output)];
  return bytes(1, Buffer.concat([...names, string(4, opType)]));
}

/** A value whose first two sizes are any. */
export function value(field, name, type, ...sizes) {
  const free = ["batch", "tokens"].map((it) => bytes(1, string(2, it)));
  const shape = Buffer.concat([...free, ...sizes.map((size) => bytes(1, number(1, size)))]);
  const tensor = bytes(1, Buffer.concat([number(1, type), bytes(2, shape)]));
  return bytes(field, Buffer.concat([string(1, name), bytes(2, tensor)]));
}

/** A tensor whose values are in the file `location`, from `offset` on. */
function externalInitializer({ name, shape }, location, offset) {
  const entry = (key, text) => bytes(13, Buffer.concat([string(1, key), string(2, `${text}`)]));
  const dims = shape.map((size) => number(1, size));
  const places = [entry("location", location), entry("offset", offset)];
  return Buffer.concat([...dims, number(2, 1), string(8, name), ...places, number(14, 1)]);
}

/** The encoder, whose weights are in a file of their own where that has a name. */
function encoder({ location, rows = words.length * 32 }) {
  const weights = [
    { name: "words", shape: [rows, columns] },
    ...[1, 2, 3].map((i) => ({ name: `w${i}`, shape: [columns, columns] })),
  ].map((it, i) => ({ ...it, values: noise(it.shape[0] * it.shape[1], 7 * i + 1) }));
  let size = 0;
  const stored = weights.map((it) => {
    if (location === undefined) return initializer(it);
    const offset = size;
    size += 4 * it.values.length;
    return externalInitializer(it, location, offset);
  });
  const inputs = ["input_ids", "attention_mask", "token_type_ids"];
  const graph = Buffer.concat([
    node("Gather", ["words", "input_ids"], "x0"),
    ...[1, 2, 3].map((i) =>
      node("MatMul", [`x${i - 1}`, `w${i}`], i < 3 ? `x${i}` : "last_hidden_state"),
    ),
    string(2, "encoder"),
    ...stored.map((it) => bytes(5, it)),
    ...inputs.map((name) => value(11, name, int64)),
    value(12, "last_hidden_state", 1, columns),
  ]);
  const main = Buffer.concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 17))]);
  return { main, data: Buffer.concat(weights.map(({ values }) => Buffer.from(values.buffer))) };
}

/** Files beside the models, with further words of config.json. */
export function companions(more) {
  const config = { hidden_size: columns, vocab_size: words.length, ...more };
  const special = words.slice(0, 4).map((content, id) => ({ id, content, special: true }));
  const piece = (id) => ({ SpecialToken: { id, type_id: 0 } });
  const tokenizer = {
    version: "1.0",
    added_tokens: special.map((it) => ({
      ...it,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Whitespace" },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    post_processor: {
      type: "TemplateProcessing",
      single: [piece("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, piece("[SEP]")],
      pair: [],
      special_tokens: Object.fromEntries(
        ["[CLS]", "[SEP]"].map((id) => [id, { id, ids: [words.indexOf(id)], tokens: [id] }]),
      ),
    },
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(words.map((it, i) => [it, i])),
      unk_token: "[UNK]",
    },
  };
  const tokens = { pad_token: "[PAD]", unk_token: "[UNK]", cls_token: "[CLS]", sep_token: "[SEP]" };
  const json = (content) => Buffer.from(JSON.stringify(content));
  return {
    "config.json": json(config),
    "tokenizer.json": json(tokenizer),
    "tokenizer_config.json": json({
      tokenizer_class: "BertTokenizer",
      ...tokens,
      model_max_length: 64,
    }),
  };
}

/** `rows`: how many embeddings it has, most of which no word needs. */
export function sentenceModel({ rows } = {}) {
  return {
    ...companions({ model_type: "bert", architectures: ["BertModel"] }),
    "onnx/model.onnx": encoder({ rows }).main,
  };
}

/** The same with the weights in a file beside the model, whose name no loader would guess. */
export function externalSentenceModel() {
  const { main, data } = encoder({ location: "weights.bin" });
  return { ...sentenceModel(), "onnx/model.onnx": main, "onnx/weights.bin": data };
}
