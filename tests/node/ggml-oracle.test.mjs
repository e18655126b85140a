// The block formats against ggml itself, byte for byte.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ArgumentError, dequantize, init, quantize } from "modelshrink";

const types = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"];
const here = dirname(fileURLToPath(import.meta.url));
const libraries = join(here, "../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64");

const ggml = (type, direction, input) =>
  execFileSync("python3", [join(here, "../oracles/ggml.py"), libraries, type, direction], {
    input: Buffer.from(input.buffer, input.byteOffset, input.byteLength),
    maxBuffer: 1 << 28,
  });

/** A generator that is the same everywhere. */
function* bits(seed) {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state;
  }
}

/** Ordinary weights, ties of every kind, zeros of both signs, subnormals, spread magnitudes. */
function values() {
  const random = bits(9);
  const next = () => random.next().value;
  const uniform = () => next() / 2 ** 32 - 0.5;
  const blocks = [];
  for (let i = 0; i < 4000; i++) {
    const scale = 2 ** ((next() % 150) - 140);
    const kind = next() % 5;
    blocks.push(
      Array.from({ length: 32 }, (_, j) => {
        if (kind === 0) return uniform() + uniform() + uniform();
        if (kind === 1) return scale * uniform();
        if (kind === 2) return scale * (Math.floor(uniform() * 64) / 2);
        if (kind === 3) return scale * [0, -0, 1, -1, 0.5, -0.5][next() % 6];
        return (j - 16) * (next() % 2 ? scale : -scale);
      }),
    );
  }
  blocks.push(Array(32).fill(0), Array(32).fill(-0), Array(32).fill(1.5), Array(32).fill(-1.5));
  return Float32Array.from(blocks.flat());
}

before(() => init());

for (const type of types) {
  test(`${type}: the bytes of ggml, both ways`, () => {
    const x = values();
    const { data, scale, blockSize } = quantize(x, { type });
    const expected = ggml(type, "quantize", x);
    assert.equal(Buffer.compare(Buffer.from(data), expected), 0);
    assert.equal(scale.length, 0);
    assert.equal(blockSize, 32);
    const restored = dequantize({ type, shape: [x.length], data, scale });
    const floats = ggml(type, "dequantize", data);
    assert.equal(Buffer.compare(Buffer.from(restored.buffer), floats), 0);
  });
}

test("what a block format does not have is refused", () => {
  const x = new Float32Array(64);
  for (const option of [{ axis: 0 }, { symmetric: true }, { blockSize: 64 }]) {
    assert.throws(() => quantize(x, { type: "Q8_0", ...option }), ArgumentError);
  }
  assert.throws(() => quantize(x, { type: "Q8_0", shape: [4, 16] }), /multiple of 32/);
  assert.throws(() => quantize(new Float32Array(32).fill(3e38), { type: "Q4_0" }), /too large/);
});
