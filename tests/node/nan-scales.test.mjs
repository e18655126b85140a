// Files whose scales are no numbers: restoring writes no NaN from them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FormatError, restore, shrink } from "modelshrink";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const refused = (run) =>
  assert.rejects(run, (error) => {
    assert.ok(error instanceof FormatError, String(error));
    assert.match(error.message, /NaN or infinite: the scale of a quantized weight is no number/);
    assert.ok(error.tensor);
    return true;
  });

describe("NaN scales fail restore", () => {
  for (const weights of ["float32", "float16", "bfloat16"]) {
    for (const [what, code] of Object.entries({ NaN: 0x7e00, infinity: 0x7c00 })) {
      test(`GGUF, ${what}, to ${weights}`, async () => {
        const data = Buffer.alloc(16 * 34, 1);
        for (let block = 0; block < 16; block++) data.writeUInt16LE(0x3c00, 34 * block);
        const tensor = { name: "blk.0.attn_q.weight", dims: [64, 8], type: "Q8_0", data };
        const { keys } = tinyLlama();
        const whole = makeGguf({ keys, tensors: [tensor] });
        assert.ok((await restore(whole, { weights })).report);
        data.writeUInt16LE(code, 34 * 11);
        await refused(restore(makeGguf({ keys, tensors: [tensor] }), { weights }));
      });
    }
  }

  for (const scale of [NaN, Infinity, -Infinity]) {
    test(`safetensors, ${scale}`, async () => {
      const data = new Float32Array(4096).fill(1);
      const model = makeSafetensors([{ name: "w", dtype: "F32", shape: [64, 64], data }]);
      const bytes = Buffer.from(await (await shrink(model, "int8")).bytes());
      const length = Number(bytes.readBigUInt64LE(0));
      const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
      const [name] = Object.keys(header).filter((it) => /scale/.test(it));
      const { dtype, data_offsets: offsets } = header[name];
      assert.equal(dtype, "F32");
      bytes.writeFloatLE(scale, 8 + length + offsets[0]);
      await refused(restore(bytes));
    });
  }
});
