// A repository of a sentence encoder as transformers.js loads it, with a vocabulary of a few words and weights like noise:
// the files by their paths.
import { int64, noise } from "./onnx-graphs.mjs";
import { bytes, initializer, number, string } from "./onnx.mjs";

const columns = 64;
const words = [
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
function value(field, name, type, ...sizes) {
  const free = ["batch", "tokens"].map((it) => bytes(1, string(2, it)));
  const shape = Buffer.concat([...free, ...sizes.map((size) => bytes(1, number(1, size)))]);
  const tensor = bytes(1, Buffer.concat([number(1, type), bytes(2, shape)]));
  return bytes(field, Buffer.concat([string(1, name), bytes(2, tensor)]));
}

function encoder() {
  const weights = [
    { name: "words", shape: [words.length * 32, columns] },
    ...[1, 2, 3].map((i) => ({ name: `w${i}`, shape: [columns, columns] })),
  ];
  const inputs = ["input_ids", "attention_mask", "token_type_ids"];
  const graph = Buffer.concat([
    node("Gather", ["words", "input_ids"], "x0"),
    ...[1, 2, 3].map((i) =>
      node("MatMul", [`x${i - 1}`, `w${i}`], i < 3 ? `x${i}` : "last_hidden_state"),
    ),
    string(2, "encoder"),
    ...weights.map(({ name, shape }, i) =>
      bytes(5, initializer({ name, shape, values: noise(shape[0] * shape[1], 7 * i + 1) })),
    ),
    ...inputs.map((name) => value(11, name, int64)),
    value(12, "last_hidden_state", 1, columns),
  ]);
  return Buffer.concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 17))]);
}

export function sentenceModel() {
  const config = {
    model_type: "bert",
    architectures: ["BertModel"],
    hidden_size: columns,
    vocab_size: words.length,
  };
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
    "onnx/model.onnx": encoder(),
  };
}
