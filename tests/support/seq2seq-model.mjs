// A repository of an encoder and its decoder as Optimum exports them: encoder_model, decoder_model and
// decoder_model_merged, whose branches of an If share weights with the graph and have one of their own.
import { float32, graphAttribute, int64, ints, node, weight } from "./onnx-graphs.mjs";
import { bytes, initializer, number, string, valueInfo } from "./onnx.mjs";
import { columns, companions, value, words } from "./sentence-model.mjs";

const bool = 9;
const square = (name) => weight(name, [columns, columns]);

function model({ nodes, weights, inputs, output, sizes }) {
  const graph = Buffer.concat([
    ...nodes,
    string(2, "graph"),
    ...weights.map((it) => bytes(5, initializer(it))),
    ...inputs,
    value(12, output, float32, ...sizes),
  ]);
  return Buffer.concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 17))]);
}

const ids = value(11, "input_ids", int64);

const encoder = () =>
  model({
    nodes: [
      node("Gather", ["words", "input_ids"], ["x"]),
      node("MatMul", ["x", "w"], ["last_hidden_state"]),
    ],
    weights: [weight("words", [words.length * 32, columns]), square("w")],
    inputs: [ids, value(11, "attention_mask", int64)],
    output: "last_hidden_state",
    sizes: [columns],
  });

/** A branch: the product with the graph's weight, and with one of its own. */
function branch(name) {
  const own = square(`${name}_w`);
  return Buffer.concat([
    node("MatMul", ["h", "shared"], [`${name}_0`]),
    node("MatMul", [`${name}_0`, own.name], [`${name}_1`]),
    string(2, name),
    bytes(5, initializer(own)),
    value(12, `${name}_1`, float32, columns),
  ]);
}

function decoder({ isMerged }) {
  const branches = [
    graphAttribute("then_branch", branch("cached")),
    graphAttribute("else_branch", branch("first")),
  ];
  const vocabulary = words.length * 32;
  return model({
    nodes: [
      node("Gather", ["words", "input_ids"], ["x"]),
      node("ReduceMean", ["encoder_hidden_states"], ["m"], ints("axes", [1])),
      node("Add", ["x", "m"], ["h"]),
      isMerged
        ? node("If", ["use_cache_branch"], ["y"], ...branches)
        : node("MatMul", ["h", "shared"], ["y"]),
      node("MatMul", ["y", "head"], ["logits"]),
    ],
    weights: [
      weight("words", [vocabulary, columns]),
      square("shared"),
      weight("head", [columns, vocabulary]),
    ],
    inputs: [
      ids,
      value(11, "encoder_hidden_states", float32, columns),
      ...(isMerged ? [bytes(11, valueInfo("use_cache_branch", [1], bool))] : []),
    ],
    output: "logits",
    sizes: [vocabulary],
  });
}

export function seq2seqModel() {
  const config = {
    model_type: "bart",
    architectures: ["BartForConditionalGeneration"],
    is_encoder_decoder: true,
    d_model: columns,
    decoder_layers: 0,
    encoder_layers: 0,
    decoder_attention_heads: 1,
    encoder_attention_heads: 1,
    decoder_start_token_id: 2,
    eos_token_id: 3,
    pad_token_id: 0,
    vocab_size: words.length * 32,
  };
  return {
    ...companions(config),
    "generation_config.json": Buffer.from(JSON.stringify({ max_new_tokens: 4 })),
    "onnx/encoder_model.onnx": encoder(),
    "onnx/decoder_model.onnx": decoder({ isMerged: false }),
    "onnx/decoder_model_merged.onnx": decoder({ isMerged: true }),
  };
}
