// Plain TypeErrors and their like never leave the library; what the user's own code throws does, as it is.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  compare,
  dequantize,
  fromSparse,
  Gram,
  init,
  inspect,
  ModelShrinkError,
  plan,
  prune,
  quantize,
  readTensor,
  restore,
  shrink,
  toSparse,
} from "modelshrink";
import ort from "onnxruntime-node";
import { calibrate, refitLayers, verify } from "modelshrink/runtime";
import { chainModel } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";
import { commandFolder } from "./cli.mjs";

const model = chainModel([{ name: "w", size: 64 }]);
const { path, run } = commandFolder();
let folder;

before(async () => {
  await init();
  folder = await mkdtemp(join(tmpdir(), "modelshrink-foreign-"));
});
after(() => rm(folder, { recursive: true }));

const detached = (array) => {
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
};

const isOurs = (error) => {
  assert.ok(error instanceof ModelShrinkError, error?.stack ?? String(error));
  assert.notEqual(error.code, "internal", String(error));
  return true;
};

const doors = {
  inspect: (source, options) => inspect(source, options),
  plan: (source, options) => plan(source, "int8", options),
  shrink: (source, options) => shrink(source, "int8", options),
  restore: (source, options) => restore(source, options),
  readTensor: (source, options) => readTensor(source, "w", options),
  compare: (source, options) => compare(source, model, options),
};

describe("a source that is none is an error of the library", () => {
  const sources = {
    "%E0%A4%A in a path": () => "%E0%A4%A",
    "%E0%A4%A in an address": () => "http://127.0.0.1:1/%E0%A4%A",
    "%E0%A4%A in a file: address": () => "file:///%E0%A4%A",
    "a slash in a file: URL": () => new URL("file:///a%2Fb"),
    "a host in a file: address": () => "file://host/x",
    "http://[::1": () => "http://[::1",
    "file://[::1": () => "file://[::1",
    "a NUL in a path": () => "a\0b",
    "no text": () => "",
    "a detached Uint8Array": () => detached(new Uint8Array(model)),
    "a detached ArrayBuffer": () => detached(new Uint8Array(model)).buffer,
    "a detached Uint8Array in a record": () => ({ "m.onnx": detached(new Uint8Array(model)) }),
    "a folder's name with a lone surrogate": () => "\ud800/\udfff",
    null: () => null,
    undefined: () => undefined,
    "a symbol": () => Symbol("x"),
    "a bigint": () => 5n,
    "a record of null": () => ({ "m.onnx": null }),
    "a proxy that throws": () => ({ size: "5", read: () => undefined }),
    "a negative size": () => ({ size: -5, read: () => undefined }),
  };
  for (const [what, source] of Object.entries(sources)) {
    for (const [name, door] of Object.entries(doors)) {
      test(`${name}: ${what}`, () => assert.rejects(async () => door(source()), isOurs));
    }
  }
});

describe("options that are none are errors of the library", () => {
  for (const options of [
    { onProgress: 5 },
    { signal: {} },
    { signal: 5 },
    { timeoutMs: "x" },
    null,
    5,
    [],
  ]) {
    for (const [name, door] of Object.entries(doors)) {
      test(`${name}: ${JSON.stringify(options)}`, () =>
        assert.rejects(async () => door(model, options), isOurs));
    }
    for (const [name, door] of Object.entries({
      calibrate: () => calibrate(model, options),
      verify: () => verify(model, model, options),
      refitLayers: () => refitLayers(model, model, options),
    })) {
      test(`${name}: ${JSON.stringify(options)}`, () => assert.rejects(async () => door(), isOurs));
    }
  }
});

const verifyItself = (source, options) => verify(source, source, options);
const refit = (source, options) => refitLayers(source, source, options);

describe("samples that are none are errors of the library", () => {
  const locked = new ReadableStream();
  locked.getReader();
  const samples = {
    "a locked stream": locked,
    "a Float32Array": new Float32Array(4),
    "a detached Uint8Array": detached(new Uint8Array(4)),
  };
  for (const [what, inputs] of Object.entries(samples)) {
    for (const [name, door] of Object.entries({ calibrate, verify: verifyItself, refit })) {
      test(`${name}: ${what}`, () =>
        assert.rejects(async () => door(model, { ort, inputs }), isOurs));
    }
  }
});

test("a sink that is none is an error of the library", async () => {
  for (const sink of [
    ...["http://[::1", "file://[::1", "file:///%E0%A4%A", "file://host/x", "a\0b"],
    ...[new URL("file:///a%2Fb"), 5, null, {}],
  ]) {
    await assert.rejects(async () => shrink(model, "int8", { sink }), isOurs, String(sink));
  }
});

test("a buffer that is transferred while it is read is an error of the library", async () => {
  const values = new Float32Array(1 << 20).fill(1);
  const bytes = makeSafetensors([{ name: "w", dtype: "F32", shape: [1024, 1024], data: values }]);
  const onProgress = ({ phase }) => {
    if (phase === "write" && bytes.length > 0) detached(bytes);
  };
  await assert.rejects(shrink(bytes, "int8", { onProgress }), { code: "integrity" });
});

describe("arrays whose buffer was transferred are refused", () => {
  const floats = () => detached(new Float32Array(64).fill(1));
  const cases = {
    quantize: () => quantize(floats(), { type: "int8" }),
    prune: () => prune(floats(), { method: "magnitude", sparsity: 0.5 }),
    toSparse: () => toSparse(floats(), { format: "csr", shape: [8, 8] }),
    compare: () => compare(floats(), floats()),
    dequantize: () => {
      const tensor = quantize(new Float32Array(64).fill(1), { type: "int8" });
      return dequantize({ ...tensor, data: detached(tensor.data) });
    },
    "dequantize, its scale": () => {
      const tensor = quantize(new Float32Array(64).fill(1), { type: "int8" });
      return dequantize({ ...tensor, scale: detached(tensor.scale) });
    },
    fromSparse: () => {
      const sparse = toSparse(new Float32Array(64).fill(1), { format: "csr", shape: [8, 8] });
      return fromSparse({ ...sparse, values: detached(sparse.values) });
    },
    "Gram.add": () => new Gram(8).add(floats()),
  };
  for (const [name, work] of Object.entries(cases)) test(name, () => assert.throws(work, isOurs));
});

describe("what the user's own code throws leaves as it is", () => {
  const own = () => new TypeError("the user's own");
  const cases = {
    "read()": (error) => {
      const read = () => {
        throw error;
      };
      return inspect({ size: 1000, read });
    },
    "read(), later": (error) => inspect({ size: 1000, read: () => Promise.reject(error) }),
    onProgress: (error) => {
      const onProgress = () => {
        throw error;
      };
      return shrink(model, "int8", { onProgress });
    },
    "a stream": (error) =>
      inspect(new ReadableStream({ pull: (controller) => controller.error(error) })),
    "a sink": (error) => {
      const sink = { open() {}, write: () => Promise.reject(error), close() {}, abort() {} };
      return shrink(model, "int8", { sink });
    },
    "a function of sinks": (error) => {
      const sink = () => {
        throw error;
      };
      return shrink(model, "int8", { sink });
    },
    "a WritableStream": (error) => {
      const sink = new WritableStream({ write: () => Promise.reject(error) });
      return shrink(model, "int8", { sink });
    },
    "an abort's reason": (error) => inspect(model, { signal: AbortSignal.abort(error) }),
    samples: (error) => {
      const inputs = {
        [Symbol.iterator]: () => ({
          next() {
            throw error;
          },
        }),
      };
      return refitLayers(model, model, {
        ort: { InferenceSession: {}, Tensor: class {} },
        inputs,
      });
    },
  };
  for (const [name, work] of Object.entries(cases)) {
    test(name, async () => {
      const error = own();
      await assert.rejects(
        async () => work(error),
        (it) => it === error,
      );
    });
  }
});

describe("recipe files", () => {
  const plain = '{"weights": "int8", "rules": [{"match": "*norm*", "keep": true}]}';

  test("with a byte order mark load", async () => {
    await writeFile(path("r.json"), `\ufeff${plain}`);
    const { code, stderr } = await run("plan", "model.onnx", "--recipe", "r.json");
    assert.equal(code, 0, stderr);
  });

  for (const text of [
    '{"weights": "int8", "weights": "int4"}',
    '{"weights": "int8", "\\u0077eights": "int8"}',
    '{"weights": "int8", "rules": [{"match": "a", "keep": true, "match": "b"}]}',
    '{"weights": "int8", "prune": {"method": "magnitude", "sparsity": 0.5, "sparsity": 0.6}}',
  ]) {
    test(`with duplicate keys are refused: ${text}`, async () => {
      await writeFile(path("r.json"), text);
      const { code, stderr } = await run("plan", "model.onnx", "--recipe", "r.json");
      assert.equal(code, 2);
      assert.match(stderr, /has the key "\w+" twice/);
    });
  }

  test("may have one key in several objects, and braces in texts", async () => {
    const rules =
      '[{"match": "{\\"a\\": 1, \\"a\\": 2}", "keep": true}, {"match": "a", "keep": true}]';
    await writeFile(path("r.json"), `{"weights": "int8", "rules": ${rules}}`);
    const { code, stderr } = await run("plan", "model.onnx", "--recipe", "r.json");
    assert.equal(code, 0, stderr);
  });

  test("that are no regular files, or no UTF-8, are refused", async () => {
    await writeFile(path("r.json"), Buffer.from([0x22, 0xff, 0x22]));
    assert.match((await run("plan", "model.onnx", "--recipe", "r.json")).stderr, /is no JSON/);
    const { symlink } = await import("node:fs/promises");
    await symlink("/dev/zero", path("zero.json"));
    const { code, stderr } = await run("plan", "model.onnx", "--recipe", "zero.json");
    assert.equal(code, 2);
    assert.match(stderr, /not a regular file/);
  });
});

test("samples that are no regular files are refused, and one input is not given twice", async () => {
  const { symlink } = await import("node:fs/promises");
  await symlink("/dev/zero", path("zero.npy"));
  await writeFile(
    path("twice.json"),
    '[{"X": {"data": [1], "dims": [1]}, "X": {"data": [2], "dims": [1]}}]',
  );
  for (const [inputs, message] of [
    ["zero.npy", /not a|no file or folder/],
    ["twice.json", /has the key "X" twice/],
  ]) {
    const { code, stderr } = await run("verify", "model.onnx", "model.onnx", "--inputs", inputs);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
  }
});
