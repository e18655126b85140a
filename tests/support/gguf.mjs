/** Makes small GGUF files. */

const encoder = new TextEncoder();
const valueTypes = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
};
export const tensorTypes = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 8, Q4_K: 12, I32: 26, BF16: 30 };

export class Writer {
  parts = [];
  size = 0;

  bytes(bytes) {
    this.parts.push(bytes);
    this.size += bytes.length;
    return this;
  }

  number(kind, value) {
    const view = new DataView(new ArrayBuffer(8));
    const sizes = { uint8: 1, int8: 1, bool: 1, uint16: 2, int16: 2 };
    const size = sizes[kind] ?? (kind.endsWith("64") ? 8 : 4);
    if (kind === "uint64") view.setBigUint64(0, BigInt(value), true);
    else if (kind === "int64") view.setBigInt64(0, BigInt(value), true);
    else if (kind === "float64") view.setFloat64(0, value, true);
    else if (kind === "float32") view.setFloat32(0, value, true);
    else if (size === 4) view.setUint32(0, value >>> 0, true);
    else if (size === 2) view.setUint16(0, value & 0xffff, true);
    else view.setUint8(0, Number(value) & 0xff);
    return this.bytes(new Uint8Array(view.buffer, 0, size));
  }

  string(text) {
    const bytes = typeof text === "string" ? encoder.encode(text) : text;
    return this.number("uint64", bytes.length).bytes(bytes);
  }

  value(kind, value) {
    if (kind === "string") return this.string(value);
    if (kind !== "array") return this.number(kind, value);
    const [element, values] = value;
    this.number("uint32", valueTypes[element]).number("uint64", values.length);
    for (const it of values) this.value(element, it);
    return this;
  }

  key(key, kind, value) {
    return this.string(key).number("uint32", valueTypes[kind]).value(kind, value);
  }

  pad(alignment) {
    return this.bytes(new Uint8Array((alignment - (this.size % alignment)) % alignment));
  }

  done() {
    return Buffer.concat(this.parts);
  }
}

/** `keys`: [key, kind, value]; `tensors`: { name, dims (innermost first), type, data }. */
export function makeGguf({ keys, tensors, version = 3, alignment = 32, onlyHeader = false }) {
  const writer = new Writer();
  writer.bytes(encoder.encode("GGUF")).number("uint32", version);
  writer.number("uint64", tensors.length).number("uint64", keys.length);
  for (const [key, kind, value] of keys) writer.key(key, kind, value);
  let offset = 0;
  for (const { name, dims, type, data } of tensors) {
    writer.string(name).number("uint32", dims.length);
    for (const dim of dims) writer.number("uint64", dim);
    writer.number("uint32", tensorTypes[type] ?? type).number("uint64", offset);
    offset += Math.ceil(data.length / alignment) * alignment;
  }
  writer.pad(alignment);
  if (onlyHeader) return writer.done();
  for (const { data } of tensors) writer.bytes(data).pad(alignment);
  return writer.done();
}

function* bits(seed) {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state;
  }
}

/** `count` bell-shaped values as bytes of `type`. */
export function weights(count, type, seed) {
  const random = bits(seed);
  const next = () => random.next().value / 2 ** 32 - 0.5;
  const values = Float32Array.from({ length: count }, () => (next() + next() + next()) * 0.1);
  if (type === "F32") return new Uint8Array(values.buffer);
  // Cut off rather than rounded: any bits do.
  const words = new Uint32Array(values.buffer);
  if (type === "BF16") return new Uint8Array(Uint16Array.from(words, (it) => it >>> 16).buffer);
  const halves = Uint16Array.from(words, (it) => {
    const exponent = ((it >>> 23) & 255) - 112;
    return exponent <= 0 ? 0 : ((it >>> 16) & 0x8000) | (exponent << 10) | ((it >>> 13) & 0x3ff);
  });
  return new Uint8Array(halves.buffer);
}

/** A llama of two layers that llama.cpp loads. */
export function tinyLlama({
  type = "F32",
  tied = false,
  embedding = 64,
  layers = 2,
  words = 61,
} = {}) {
  const feedForward = 2 * embedding;
  const vocabulary = [
    "<unk>",
    "<s>",
    "</s>",
    ...Array.from(
      { length: 256 },
      (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`,
    ),
    ...Array.from({ length: words }, (_, i) => `▁w${i}`),
  ];
  const kinds = vocabulary.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1));
  const keys = [
    ["general.architecture", "string", "llama"],
    ["general.name", "string", "tiny"],
    ["general.file_type", "uint32", type === "F32" ? 0 : type === "F16" ? 1 : 32],
    ["llama.context_length", "uint32", 64],
    ["llama.embedding_length", "uint32", embedding],
    ["llama.block_count", "uint32", layers],
    ["llama.feed_forward_length", "uint32", feedForward],
    ["llama.attention.head_count", "uint32", 4],
    ["llama.attention.head_count_kv", "uint32", 2],
    ["llama.attention.layer_norm_rms_epsilon", "float32", 1e-5],
    ["llama.rope.dimension_count", "uint32", embedding / 4],
    ["llama.vocab_size", "uint32", vocabulary.length],
    ["tokenizer.ggml.model", "string", "llama"],
    ["tokenizer.ggml.tokens", "array", ["string", vocabulary]],
    ["tokenizer.ggml.scores", "array", ["float32", vocabulary.map((_, i) => -i)]],
    ["tokenizer.ggml.token_type", "array", ["int32", kinds]],
    ["tokenizer.ggml.bos_token_id", "uint32", 1],
    ["tokenizer.ggml.eos_token_id", "uint32", 2],
    ["tokenizer.ggml.add_bos_token", "bool", 1],
  ];
  let seed = 1;
  const matrix = (name, columns, rows) => ({
    name,
    dims: [columns, rows],
    type,
    data: weights(columns * rows, type, seed++),
  });
  const norm = (name) => ({
    name,
    dims: [embedding],
    type: "F32",
    data: new Uint8Array(new Float32Array(embedding).fill(1).buffer),
  });
  const tensors = [matrix("token_embd.weight", embedding, vocabulary.length)];
  for (let i = 0; i < layers; i++) {
    const layer = `blk.${i}`;
    tensors.push(
      norm(`${layer}.attn_norm.weight`),
      matrix(`${layer}.ffn_down.weight`, feedForward, embedding),
      matrix(`${layer}.ffn_gate.weight`, embedding, feedForward),
      matrix(`${layer}.ffn_up.weight`, embedding, feedForward),
      norm(`${layer}.ffn_norm.weight`),
      matrix(`${layer}.attn_k.weight`, embedding, embedding / 2),
      matrix(`${layer}.attn_output.weight`, embedding, embedding),
      matrix(`${layer}.attn_q.weight`, embedding, embedding),
      matrix(`${layer}.attn_v.weight`, embedding, embedding / 2),
    );
  }
  if (!tied) tensors.push(matrix("output.weight", embedding, vocabulary.length));
  tensors.push(norm("output_norm.weight"));
  return { keys, tensors };
}

/** The model in splits of `sizes[i]` tensors, by file name. */
export function splitGguf({ keys, tensors }, sizes, prefix = "m") {
  const pad = (number) => String(number).padStart(5, "0");
  let first = 0;
  return Object.fromEntries(
    sizes.map((size, i) => {
      const own = [
        ["split.no", "uint16", i],
        ["split.count", "uint16", sizes.length],
        ["split.tensors.count", "int32", tensors.length],
      ];
      const part = tensors.slice(first, (first += size));
      return [
        `${prefix}-${pad(i + 1)}-of-${pad(sizes.length)}.gguf`,
        makeGguf({ keys: [...(i === 0 ? keys : []), ...own], tensors: part }),
      ];
    }),
  );
}

export function cosine(a, b) {
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / Math.sqrt(aa * bb);
}
