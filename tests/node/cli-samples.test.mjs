// Samples of --inputs: arrays of NumPy, safetensors and JSON, whole and broken. Images: cli-images.test.mjs.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { zipSync } from "fflate";
import { readNpy, readNpz } from "../../dist/cli/samples/npy.js";
import { readJson } from "../../dist/cli/samples/json.js";
import { readSafetensors } from "../../dist/cli/samples/safetensors.js";
import { bytes as field, number, string, valueInfo, wave } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";
import { commandFolder } from "./cli.mjs";

const { path, run } = commandFolder();

/** A .npy file as NumPy writes it. */
function npy(array, shape, { descr = "<f4", order = "False", version = 1 } = {}) {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${dims}), }`;
  const prefix = version === 1 ? 10 : 12;
  const header = Buffer.from(
    `${text.padEnd(64 * Math.ceil((prefix + text.length + 1) / 64) - prefix - 1)}\n`,
  );
  const length = Buffer.alloc(prefix - 8);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  const start = Buffer.from([0x93, ..."NUMPY".split("").map((it) => it.charCodeAt(0)), version, 0]);
  return Buffer.concat([start, length, header, Buffer.from(array.buffer)]);
}

const plain = ({ type, data, dims }) => ({ type, data: [...data], dims: [...dims] });
const floats = Float32Array.of(1, 2, 3, 4, 5, 6);

// np.save of np.asfortranarray(np.arange(6, dtype="<i8").reshape(2, 3)), and
// np.savez_compressed(x=np.array([[1.5, -2]], dtype="f2"), y=np.array([True, False])), both of NumPy 2.4.6.
const fortranFile =
  "k05VTVBZAQB2AHsnZGVzY3InOiAnPGk4JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMyksIH0g" +
  "ICAg".repeat(19) +
  "IAoAAAAAAAAAAAMAAAAAAAAAAQAAAAAAAAAEAAAAAAAAAAIAAAAAAAAABQAAAAAAAAA=";
const compressedFile =
  "UEsDBC0AAAAIAAAAIQABSb2G//////////8FABQAeC5ucHkBABAAhAAAAAAAAABKAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6T" +
  "ZqSuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GoY6CkaaOgq1CmQDLgY7hgMAUEsDBC0AAAAIAAAAIQDuGbtd//////////8F" +
  "ABQAeS5ucHkBABAAggAAAAAAAABGAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loF6TZKiuo6Cell9UUpSYF59flJIKEndLzClOBYoX" +
  "ZyQWpAL5GkY6mjoKtQoUAC5GBgBQSwECLQMtAAAACAAAACEAAUm9hkoAAACEAAAABQAAAAAAAAAAAAAAgAEAAAAAeC5ucHlQSwECLQMt" +
  "AAAACAAAACEA7hm7XUYAAACCAAAABQAAAAAAAAAAAAAAgAGBAAAAeS5ucHlQSwUGAAAAAAIAAgBmAAAA/gAAAAAA";

test("files that NumPy wrote are read, in Fortran's order and compressed, too", () => {
  const matrix = readNpy("it", Buffer.from(fortranFile, "base64"));
  assert.deepEqual(plain(matrix), { type: "int64", data: [0n, 1n, 2n, 3n, 4n, 5n], dims: [2, 3] });
  const { x, y, ...others } = readNpz("it", Buffer.from(compressedFile, "base64"));
  assert.deepEqual(plain(x), { type: "float16", data: [0x3e00, 0xc000], dims: [1, 2] });
  assert.deepEqual(plain(y), { type: "bool", data: [1, 0], dims: [2] });
  assert.deepEqual(others, {});
});

test("a .npy file is read whatever its version, type and shape", () => {
  for (const [array, descr, type] of [
    [Float64Array.of(0.1, -1), "<f8", "float64"],
    [Int8Array.of(-1, 2), "|i1", "int8"],
    [Uint8Array.of(255, 2), "|u1", "uint8"],
    [Uint16Array.of(65535, 2), "<u2", "uint16"],
    [Int32Array.of(-5, 2), "<i4", "int32"],
  ]) {
    assert.deepEqual(plain(readNpy("it", npy(array, [2], { descr }))), {
      ...{ type, data: [...array], dims: [2] },
    });
  }
  assert.deepEqual(plain(readNpy("it", npy(floats, [3, 2], { version: 3 }))).dims, [3, 2]);
  assert.deepEqual(plain(readNpy("it", npy(floats.slice(0, 1), []))).dims, []);
  assert.deepEqual(plain(readNpy("it", npy(new Float32Array(0), [0, 4]))).data, []);
  const columns = readNpy("it", npy(floats, [1, 2, 3], { order: "True" }));
  assert.deepEqual(plain(columns).data, [1, 3, 5, 2, 4, 6]);
});

test("a broken .npy file is refused with a sentence", () => {
  const good = npy(floats, [2, 3]);
  const changed = (at, byte) => Buffer.from(good).fill(byte, at, at + 1);
  for (const [file, pattern] of [
    [Buffer.alloc(0), /it is no \.npy file/],
    [changed(1, 0), /it is no \.npy file/],
    [good.subarray(0, 40), /ends within its header/],
    [changed(9, 255), /ends within its header/],
    [changed(12, 0), /header that is not understood/],
    [good.subarray(0, -1), /24 bytes; 23 are there/],
    [npy(floats, [2, 4]), /\[2, 4\] of float32, 32 bytes; 24 are there/],
    [npy(floats, [65536, 65536, 65536]), /too large/],
    [npy(floats, ["99999999999999999999"]), /too large/],
    [npy(floats, [2, 3], { descr: ">f4" }), /big-endian.*astype\("<f4"\)/],
    [npy(floats, [2, 3], { descr: "|O" }), /type \|O.*astype\("float32"\)/],
    [npy(floats, [2, 3], { descr: "<U4" }), /type <U4/],
    [npy(floats, [2, 3], { descr: "<constructor" }), /type <constructor/],
  ]) {
    assert.throws(() => readNpy("it", file), pattern);
  }
});

/** A zip archive of one stored file whose directory tells the sizes in a zip64 field only. */
function zip64(name, content) {
  const label = Buffer.from(name);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(
    zipSync({ x: [content, { level: 0 }] })
      .slice(14, 18)
      .reduceRight((sum, it) => sum * 256 + it, 0),
  );
  const u16 = (...values) => Buffer.from(Uint16Array.from(values).buffer);
  const u32 = (...values) => Buffer.from(Uint32Array.from(values).buffer);
  const u64 = (...values) => Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);
  const full = 0xffffffff;
  const local = [
    u32(0x04034b50),
    u16(45, 0, 0, 0, 0),
    checksum,
    u32(full, full),
    u16(label.length, 0),
    label,
    content,
  ];
  const offset = Buffer.concat(local).length;
  const extra = Buffer.concat([u16(1, 24), u64(content.length, content.length, 0)]);
  const entry = [
    u32(0x02014b50),
    u16(45, 45, 0, 0, 0, 0),
    checksum,
    u32(full, full),
    u16(label.length, extra.length, 0, 0, 0),
    u32(0, full),
    label,
    extra,
  ];
  const size = Buffer.concat(entry).length;
  const end = offset + size;
  const end64 = [u32(0x06064b50), u64(44), u16(45, 45), u32(0, 0), u64(1, 1, size, offset)];
  const locator = [u32(0x07064b50, 0), u64(end), u32(1)];
  const last = [u32(0x06054b50), u16(0, 0, 0xffff, 0xffff), u32(full, full), u16(0)];
  return Buffer.concat([...local, ...entry, ...end64, ...locator, ...last]);
}

test("a .npz file is a zip archive, with zip64 and a comment, too", () => {
  const files = { "a.npy": npy(floats, [6]), "b/c.npy": npy(floats, [2, 3]) };
  for (const level of [0, 9]) {
    const arrays = readNpz("it", zipSync(files, { level, comment: "x".repeat(300) }));
    assert.deepEqual(Object.keys(arrays), ["a", "b/c"]);
    assert.deepEqual(plain(arrays["b/c"]), { type: "float32", data: [...floats], dims: [2, 3] });
  }
  const { x } = readNpz("it", zip64("x.npy", npy(floats, [6])));
  assert.deepEqual(plain(x).data, [...floats]);
});

test("a broken or hostile .npz file is refused with a sentence", () => {
  const file = npy(floats, [6]);
  const good = Buffer.from(zipSync({ "a.npy": file }, { level: 9 }));
  const entry = good.indexOf("PK\u0001\u0002");
  const end = good.indexOf("PK\u0005\u0006");
  const changed = (at, ...bytes) => {
    const copy = Buffer.from(good);
    copy.set(bytes, at);
    return copy;
  };
  const zeros = Buffer.from(zipSync({ "a.npy": new Uint8Array(1 << 20) }, { level: 9 }));
  const bomb = Buffer.from(zeros);
  bomb.writeUInt32LE(100, zeros.indexOf("PK\u0001\u0002") + 24);
  const wide = zip64("a.npy", file);
  const wideEntry = wide.indexOf("PK\u0001\u0002");
  const withoutField = Buffer.from(wide);
  withoutField.writeUInt16LE(9, wideEntry + 51);
  for (const [archive, pattern] of [
    [Buffer.alloc(0), /no end record/],
    [Buffer.alloc(100), /no end record/],
    [good.subarray(0, -1), /no end record/],
    [good.subarray(10), /no directory entry|lie outside/],
    [changed(entry, 0), /no directory entry/],
    [changed(0, 0), /no local header/],
    [changed(end + 10, 200), /no directory entry|lie outside/],
    [changed(end + 16, 255, 255, 255, 127), /lie outside/],
    [changed(entry + 20, 255, 255, 0, 0), /lie outside/],
    [changed(entry + 28, 255, 255), /lie outside/],
    [changed(entry + 42, 255, 255, 255, 127), /lie outside/],
    [changed(entry + 8, 1), /"a\.npy" of it is encrypted/],
    [changed(entry + 10, 12), /packed by method 12/],
    [changed(entry + 16, 0, 0, 0, 0), /checksum/],
    [changed(entry + 24, 255, 0, 0, 0), /unpacks to \d+ bytes instead of 255/],
    [changed(entry + 24, 0, 0, 0, 240), /more than 2 GiB/],
    [changed(good.indexOf("a.npy") + 5, 255, 255), /is damaged/],
    [bomb, /unpacks to more than the 100 bytes that it says/],
    [withoutField, /a zip64 field is missing/],
    [zip64("a.npy", file).fill(0, wide.length - 42, wide.length - 38), /no zip64 locator/],
    [Buffer.from(zipSync({ "readme.txt": file })), /"readme\.txt", which is no \.npy/],
  ]) {
    assert.throws(() => readNpz("it", archive), pattern, String(pattern));
  }
});

test("safetensors are samples, and broken ones are refused", () => {
  const tensor = { name: "x", dtype: "F32", shape: [2, 3], data: floats };
  assert.deepEqual(plain(readSafetensors("it", makeSafetensors([tensor])).x), {
    ...{ type: "float32", data: [...floats], dims: [2, 3] },
  });
  const fileOf = (header) => {
    const text = typeof header === "string" ? header : JSON.stringify(header);
    const length = Buffer.from(BigUint64Array.of(BigInt(text.length)).buffer);
    return Buffer.concat([length, Buffer.from(text), Buffer.from(floats.buffer)]);
  };
  const x = { dtype: "F32", shape: [6], data_offsets: [0, 24] };
  assert.equal(readSafetensors("it", fileOf({ __metadata__: {}, x })).x.data.length, 6);
  for (const [file, pattern] of [
    [Buffer.alloc(7), /header does not fit/],
    [Buffer.alloc(16, 255), /header does not fit/],
    [fileOf("{"), /no JSON/],
    [fileOf("[1"), /no JSON/],
    [fileOf("3"), /no object/],
    [fileOf({ x: null }), /no proper dtype/],
    [fileOf({ x: { ...x, shape: [-6] } }), /no proper dtype/],
    [fileOf({ x: { ...x, shape: [5] } }), /20 bytes; 24 are there/],
    [fileOf({ x: { ...x, data_offsets: [0, 28] } }), /outside of the file's 24 bytes/],
    [fileOf({ x: { ...x, data_offsets: [24, 0] } }), /outside of the file's/],
    [fileOf({ x: { ...x, data_offsets: [0] } }), /outside of the file's/],
    [fileOf({ x: { ...x, dtype: "BF16" } }), /type BF16/],
  ]) {
    assert.throws(() => readSafetensors("it", file), pattern, String(pattern));
  }
});

test("JSON that is no sample is refused", () => {
  const read = (value) =>
    readJson("it", Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
  const [sample] = read({ x: { data: [1, 2], dims: [2], type: "int64" } });
  assert.deepEqual([...sample.x.data], [1n, 2n]);
  assert.throws(() => read("{"), /it is no JSON/);
  assert.throws(() => read([{ x: [1, 2] }]), /"x" of sample 0 in it must be \{"data"/);
  assert.throws(
    () => read({ x: { data: [1], dims: [1], type: "float17" } }),
    /"type": one of float32/,
  );
  assert.throws(() => read({ x: { data: [1.5], dims: [1], type: "int64" } }), /no int64/);
});

/** Adds its inputs, A and B. */
function adder(size) {
  const node = Buffer.concat([string(1, "A"), string(1, "B"), string(2, "Y"), string(4, "Add")]);
  const inputs = ["A", "B"].map((name) => field(11, valueInfo(name, [1, size])));
  const output = field(12, valueInfo("Y", [1, size]));
  const graph = Buffer.concat([field(1, node), string(2, "sum"), ...inputs, output]);
  return Buffer.concat([number(1, 8), field(7, graph), field(8, number(2, 13))]);
}

const values = (seed) => wave(64, seed);
const verify = async (...args) => {
  const { code, stdout, stderr } = await run("verify", ...args, "--json");
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};

test("--inputs takes each format, and folders; all say the same", async () => {
  await run("shrink", "model.onnx", "-o", "small.onnx");
  const seeds = [1, 30, 200];
  const json = seeds.map((seed) => ({ X: { data: [...values(seed)], dims: [1, 64] } }));
  await writeFile(path("samples.json"), JSON.stringify(json));
  const formats = {
    npz: (seed) => zipSync({ "X.npy": npy(values(seed), [1, 64]) }),
    npy: (seed) => npy(values(seed), [1, 64]),
    safetensors: (seed) =>
      makeSafetensors([{ name: "X", dtype: "F32", shape: [1, 64], data: values(seed) }]),
  };
  const models = ["model.onnx", "small.onnx"];
  const all = await verify(...models, "--inputs", "samples.json");
  assert.equal(all.samples, 3);
  for (const [ending, make] of Object.entries(formats)) {
    await mkdir(path(ending));
    for (const [i, seed] of seeds.entries()) {
      await writeFile(path(ending, `${i}.${ending}`), make(seed));
    }
    await writeFile(path(ending, "readme.txt"), "how they were made");
    assert.deepEqual(await verify(...models, "--inputs", ending), all, ending);
    const one = await verify(...models, "--inputs", `${ending}/0.${ending}`);
    assert.equal(one.samples, 1);
  }
});

test("arrays without names feed the only input, or the one that is named", async () => {
  await writeFile(path("adder.onnx"), adder(64));
  const models = ["adder.onnx", "adder.onnx"];
  await mkdir(path("pair"));
  for (const name of ["A", "B"])
    await writeFile(path("pair", `${name}.npy`), npy(values(3), [1, 64]));
  assert.equal((await verify(...models, "--inputs", "pair")).samples, 1);
  for (const [args, code, pattern] of [
    [
      ["--inputs", "pair/A.npy"],
      2,
      /"pair\/A\.npy" is one array, and the model has the inputs A, B: name/,
    ],
    [["--inputs", "pair/A.npy", "--input-name", "A"], 1, /has no "B"/],
    [["--inputs", "pair/A.npy", "--input-name", "C"], 1, /"C", which is no input/],
  ]) {
    const result = await run("verify", ...models, ...args);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, pattern);
  }
});

test("what --inputs cannot be is refused", async () => {
  await mkdir(path("empty"));
  await mkdir(path("mixed"));
  await writeFile(path("mixed/a.npy"), npy(values(1), [1, 64]));
  await writeFile(path("mixed/b.json"), "[]");
  await writeFile(path("s.npz"), zipSync({ "X.npy": npy(values(1), [1, 64]) }));
  await writeFile(path("none.json"), "[]");
  await writeFile(path("data.csv"), "1,2");
  for (const [code, args, pattern] of [
    [1, ["missing.npz"], /"missing\.npz": no such file/],
    [2, ["data.csv"], /a folder or end in \.npz, \.safetensors, \.npy/],
    [2, ["empty"], /The folder "empty" has no samples/],
    [2, ["mixed"], /mixes kinds of samples: "a\.npy" and "b\.json"/],
    [2, ["s.npz", "--resize", "8x8"], /"s\.npz" has no images/],
    [2, ["s.npz", "--input-name", "X"], /names its inputs itself/],
    [1, ["none.json"], /no samples/],
  ]) {
    const result = await run("verify", "model.onnx", "model.onnx", "--inputs", ...args);
    assert.deepEqual([result.code, result.stdout], [code, ""], `${args}: ${result.stderr}`);
    assert.match(result.stderr, pattern);
  }
});

test("a sample that the model does not take is named by its file, with what the model takes", async () => {
  await writeFile(path("adder.onnx"), adder(64));
  const fine = npy(values(1), [1, 64]);
  await mkdir(path("several"));
  for (const [i, A] of [fine, fine, npy(values(1), [2, 32])].entries()) {
    await writeFile(path("several", `${i}.npz`), zipSync({ "A.npy": A, "B.npy": fine }));
  }
  const doubles = npy(Float64Array.from(values(1)), [1, 64], { descr: "<f8" });
  await writeFile(path("doubles.npz"), zipSync({ "A.npy": doubles, "B.npy": fine }));
  await mkdir(path("apart"));
  await writeFile(path("apart/A.npy"), doubles);
  await writeFile(path("apart/B.npy"), fine);
  const sample = (...names) =>
    Object.fromEntries(names.map((name) => [name, { data: [...values(1)], dims: [1, 64] }]));
  await writeFile(path("list.json"), JSON.stringify([sample("A", "B"), sample("A")]));
  const inputs = "A (float32 [1, 64]), B (float32 [1, 64])";
  const given = (A) => `${inputs}; the sample has A (${A}), B (float32 [1, 64])`;
  for (const [name, label, facts] of [
    ["several", '"several/2.npz"', given("float32 [2, 32]")],
    ["doubles.npz", '"doubles.npz"', given("float64 [1, 64]")],
    ["apart", '"apart"', given("float64 [1, 64]")],
    ["list.json", '"list.json"[1] has no "B"', inputs],
  ]) {
    const result = await run("verify", "adder.onnx", "adder.onnx", "--inputs", name);
    assert.equal(result.code, 1, result.stderr);
    for (const part of [label, `inputs are ${facts}.`]) {
      assert.ok(result.stderr.includes(part), `${result.stderr} has no ${part}`);
    }
  }
});

test("samples are not run for a recipe that needs none", async () => {
  const shrink = (...recipe) =>
    run("shrink", "model.onnx", ...recipe, "--inputs", "no such folder", "-o", "fresh.onnx");
  const plain = await shrink("--recipe", "int8");
  assert.equal(plain.code, 0, plain.stderr);
  assert.match(
    plain.stdout + plain.stderr,
    /^The recipe needs no samples: --inputs is not read\.$/m,
  );
  for (const recipe of [
    ["--recipe", "int4", "--gptq"],
    ["--prune", "wanda:0.5"],
    ["--prune", "magnitude:0.5", "--refit"],
  ]) {
    const { code, stderr } = await shrink(...recipe);
    assert.equal(code, 1, recipe.join(" "));
    assert.match(stderr, /no such folder/);
  }
});
