// Writes those seeds of corpus/onnx_reader that are one broken or unusual thing in a small model.
import { writeFile } from "node:fs/promises";
import { bytes, initializer, number, string, valueInfo } from "../support/onnx.mjs";

const folder = new URL("./corpus/onnx_reader/", import.meta.url);
const concat = (...parts) => Buffer.concat(parts.flat());
const raw = (...values) => Buffer.from(values);
const values = new Float32Array(16).map((_, i) => i - 7);

const tensor = (name = "w") => initializer({ name, shape: [4, 4], values });
const node = (type, inputs, outputs, ...more) =>
  bytes(
    1,
    concat(
      inputs.map((it) => string(1, it)),
      outputs.map((it) => string(2, it)),
      string(4, type),
      ...more,
    ),
  );
const matmul = node("MatMul", ["x", "w"], ["y"]);
const ports = concat(bytes(11, valueInfo("x", [1, 4])), bytes(12, valueInfo("y", [1, 4])));
const opset = bytes(8, number(2, 13));
const version = number(1, 8);
const graph = (...parts) => bytes(7, concat(...parts, ports));
const model = (...parts) => concat(version, graph(...parts), opset);
const weight = (...fields) => model(matmul, bytes(5, concat(...fields)));
const float = number(2, 1);
const name = string(8, "w");
const dims = (...sizes) => sizes.map((it) => number(1, it));
const packedDims = bytes(1, raw(4, 4));
const data = bytes(9, Buffer.from(values.buffer));
/** A varint of ten bytes, as protobuf writes negative numbers. */
const minusOne = raw(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1);
const attribute = (key, ...fields) => bytes(5, concat(string(1, key), ...fields));
const branch = (output) =>
  concat(
    node("MatMul", ["x", "w"], [output]),
    string(2, "b"),
    bytes(12, valueInfo(output, [1, 4])),
  );
const entry = (key, value) => bytes(13, concat(string(1, key), string(2, value)));
/** Fields of a tensor whose values are in another file. */
const place = ({ location = "d", ...others }) =>
  concat(
    number(14, 1),
    Object.entries({ location, ...others }).map(([key, value]) => entry(key, value)),
  );
const elsewhere = (where) => weight(dims(4, 4), float, name, place(where));
const externalValue = concat(dims(16, 16), float, place({ offset: "64", length: "1024" }));
const constantNode = node(
  "Constant",
  [],
  ["w"],
  attribute("value", number(20, 4), bytes(5, externalValue)),
);
const branchWithConstant = concat(constantNode, branch("a"));
const large = bytes(9, Buffer.from(new Float32Array(256).fill(0.5).buffer));
const largeTensor = concat(dims(256), float, large);
const deep = Array.from({ length: 70 }).reduce(
  (inner) => node("If", ["x"], ["y"], attribute("then_branch", bytes(6, inner), number(20, 5))),
  matmul,
);

const seeds = {
  "varint-truncated": concat(version, raw(8 * 8, 0x80)),
  "varint-long": concat(version, raw(15 * 8), Buffer.alloc(10, 0xff), raw(1)),
  "tag-large": concat(version, raw(0xff, 0xff, 0xff, 0xff, 0x7f)),
  "length-past-parent": model(bytes(1, raw(0x0a, 9, 0x78))),
  "length-past-end": concat(version, raw(7 * 8 + 2, 0xff, 0xff, 0xff, 0xff, 0x0f)),
  "wire-3": concat(version, raw(7 * 8 + 3)),
  "wire-4": concat(version, raw(7 * 8 + 4)),
  "wire-6": concat(version, raw(7 * 8 + 6)),
  "wire-7": concat(version, raw(7 * 8 + 7)),
  "wire-other": concat(version, raw(7 * 8, 1)),
  "field-0": concat(version, raw(0, 0)),
  "subgraphs-deep": model(deep),
  "function-recursive": concat(
    model(matmul, bytes(5, tensor())),
    bytes(
      25,
      concat(string(1, "f"), bytes(7, concat(string(4, "f"), string(7, "d"))), string(10, "d")),
    ),
  ),
  "graph-twice": concat(version, graph(matmul), graph(bytes(5, tensor())), opset),
  "name-twice": weight(dims(4, 4), float, name, name, data),
  "dims-packed": weight(packedDims, float, name, data),
  "raw-short": weight(dims(4, 5), float, name, data),
  "floats-short": weight(dims(4), float, name, bytes(4, Buffer.from(values.buffer, 0, 12))),
  "raw-and-floats": weight(dims(4, 4), float, name, data, bytes(4, Buffer.from(values.buffer))),
  "data-other-type": weight(dims(4, 4), float, name, bytes(7, Buffer.alloc(16))),
  "dim-negative": weight(raw(8), minusOne, float, name, data),
  "dims-overflow": weight(dims(2 ** 40, 2 ** 40), float, name, data),
  "bytes-overflow": weight(dims(2 ** 31, 2 ** 32), float, name, data),
  "type-undefined": weight(dims(4, 4), number(2, 0), name, data),
  "type-unknown": weight(dims(4, 4), number(2, 99), name, data),
  "string-in-raw": weight(dims(4, 4), number(2, 8), name, data),
  "no-name": weight(dims(4, 4), float, data),
  "initializer-twice": model(matmul, bytes(5, tensor()), bytes(5, tensor())),
  "initializer-is-input": model(matmul, bytes(5, tensor()), bytes(11, valueInfo("w", [4, 4]))),
  "initializer-shared": model(
    bytes(5, tensor()),
    node(
      "If",
      ["x"],
      ["y"],
      attribute("then_branch", bytes(6, branch("a")), number(20, 5)),
      attribute("else_branch", bytes(6, branch("b")), number(20, 5)),
    ),
  ),
  "sparse-out-of-range": model(
    matmul,
    bytes(
      15,
      concat(
        bytes(1, concat(number(1, 1), float, string(8, "w"), bytes(9, Buffer.alloc(4)))),
        bytes(2, concat(number(1, 1), number(2, 7), bytes(7, raw(99)))),
        number(3, 4),
        number(3, 4),
      ),
    ),
  ),
  dangling: model(node("MatMul", ["nowhere", "w"], ["y"]), bytes(5, tensor())),
  cyclic: model(
    node("Identity", ["b"], ["a"]),
    node("Identity", ["a"], ["b"]),
    node("MatMul", ["x", "a"], ["y"]),
    bytes(5, tensor()),
  ),
  "no-opset": concat(version, graph(matmul, bytes(5, tensor()))),
  "no-ir-version": concat(graph(matmul, bytes(5, tensor())), opset),
  "opset-0": concat(version, graph(matmul), bytes(8, number(2, 0))),
  "opset-newer": concat(version, graph(matmul, bytes(5, tensor())), bytes(8, number(2, 9999))),
  "ir-newer": concat(number(1, 9999), graph(matmul, bytes(5, tensor())), opset),
  "unknown-fields": concat(
    number(999, 7),
    version,
    graph(matmul, bytes(5, concat(tensor(), string(777, "kept"))), string(888, "kept too")),
    opset,
    bytes(2000, Buffer.from("and this")),
  ),
  "no-op-type": model(bytes(1, string(1, "x"))),
  "not-onnx": Buffer.from("random text"),
  "external-self": elsewhere({ location: "m.onnx" }),
  "external-entries": weight(
    dims(4, 4),
    float,
    name,
    place({}),
    Array.from({ length: 64 }, () => entry("note", "")),
  ),
  "external-unknown-type": model(
    matmul,
    bytes(5, concat(dims(4, 4), float, name, place({ offset: "0" }))),
    bytes(5, concat(dims(20), number(2, 14), string(8, "c"), place({ offset: "100" }))),
  ),
  "external-empty": model(
    matmul,
    bytes(5, concat(dims(4, 4), float, name, place({}))),
    bytes(5, concat(dims(0, 4), float, string(8, "c"), place({ offset: "4096" }))),
  ),
  "external-overlap": model(
    matmul,
    node("Add", ["y", "c"], ["z"]),
    bytes(5, concat(dims(400), float, string(8, "c"), place({}))),
    bytes(5, concat(dims(400), float, string(8, "e"), place({ offset: "4" }))),
    bytes(5, concat(dims(16, 16), float, name, place({}))),
  ),
  "external-in-branch": model(
    node("If", ["x"], ["y"], attribute("then_branch", bytes(6, branchWithConstant), number(20, 5))),
  ),
  "external-in-function": concat(
    model(matmul, bytes(5, tensor())),
    bytes(25, concat(string(1, "f"), bytes(7, constantNode.subarray(2)))),
  ),
};
/** The first byte chooses how they are written: all values leave the main file. */
const movedSeeds = {
  "large-values": model(
    matmul,
    node("Add", ["y", "c"], ["z"]),
    node("Add", ["z", "e"], ["out"]),
    bytes(5, concat(dims(16, 16), float, name, large)),
    bytes(5, concat(dims(256), float, string(8, "c"), large, entry("location", "nowhere"))),
    node("Constant", [], ["e"], attribute("value", number(20, 4), bytes(5, largeTensor))),
  ),
};
for (const [seed, file] of Object.entries(seeds)) {
  await writeFile(new URL(seed, folder), concat(raw(0), file));
}
for (const [seed, file] of Object.entries(movedSeeds)) {
  await writeFile(new URL(seed, folder), concat(raw(4), file));
}
