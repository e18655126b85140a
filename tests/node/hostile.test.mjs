// Broken, odd and malicious files of every format, through the public API: each way to be wrong has a seed in
// tests/fuzz/corpus and an error of its own, and nothing is written.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { link, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  ArgumentError,
  FormatError,
  init,
  inspect,
  ModelShrinkError,
  shrink,
  UnsupportedError,
} from "modelshrink";
import { seedFiles, seedNames } from "./seeds.mjs";

/**
 * [what is wrong, seeds, class, message]. A message belongs to one line; the seeds of a line break the same
 * rule in several ways.
 */
// prettier-ignore
const broken = {
  onnx_reader: [[
      "truncated or over-long varint", "varint-truncated varint-long", FormatError, /over-long varint/],
    ["tag over 32 bits", "tag-large", FormatError, /a tag in ModelProto is over 32 bits/],
    ["length past its parent", "length-past-parent", FormatError, /NodeProto is 9 bytes long, but only 1 are left/],
    ["length past the end", "length-past-end", FormatError, /ModelProto is 4294967295 bytes long, but only 0/],
    ["wire types 3 and 4", "wire-3 wire-4", FormatError, /has wire type [34], a group/],
    ["wire types 6 and 7", "wire-6 wire-7", FormatError, /has wire type [67], which does not exist/],
    ["another wire type", "wire-other", FormatError, /ModelProto\.graph has wire type 0 instead of 2/],
    ["field 0", "field-0", FormatError, /field number 0 in ModelProto/],
    ["deep subgraphs", "subgraphs-deep", UnsupportedError, /nested more than 64 deep/],
    ["repeated singular field, split messages", "graph-twice name-twice", FormatError, /occurs twice in one message/],
    ["raw_data of another size", "raw-short", FormatError, /^"[^"]+": raw_data is 64 bytes long, but the shape and type need 80/],
    ["float_data of another size", "floats-short", FormatError, /^"[^"]+": float_data is 12 bytes long/],
    ["several data fields", "raw-and-floats", FormatError, /both raw_data and float_data/],
    ["another type's data field", "data-other-type", FormatError, /of type float32 are given in int64_data/],
    ["negative dimension", "dim-negative", FormatError, /dimension 0 is negative: -1/],
    ["overflowing dimensions", "dims-overflow", FormatError, /number of elements overflows 64 bits/],
    ["overflowing size", "bytes-overflow", FormatError, /size of the values overflows 64 bits/],
    ["strings in raw_data", "string-in-raw", FormatError, /strings are given in raw_data/],
    ["an initializer without a name", "no-name", FormatError, /an initializer has no name/],
    ["duplicate initializers", "initializer-twice", FormatError, /two values of one graph are named "w"/],
    ["a node without a type", "no-op-type", FormatError, /has no op_type/],
    ["something else", "not-onnx", FormatError, /^"[^"]+": this is no ONNX model: field 14 of ModelProto is 97 bytes/],
    ["no operator set", "no-opset", FormatError, /does not say which operator set/],
    ["operator set 0", "opset-0", FormatError, /operator set "" has version 0/],
    ["no IR version", "no-ir-version", FormatError, /has no ir_version/],
    ["external: absolute", "external-absolute", FormatError, /"\/etc\/passwd", is absolute/],
    ["external: ..", "external-up", FormatError, /"\.\.\/d", leads out of the model's folder/],
    ["external: \\", "external-backslash", FormatError, /"a\\b", has a backslash/],
    ["external: %2e", "external-percent", FormatError, /means something else in a URL/],
    ["external: a URL", "external-scheme", FormatError, /is a URL or has a drive letter/],
    ["external: nowhere", "external-no-location", FormatError, /has no location/],
    ["external: the model itself", "external-self", FormatError, /"m\.onnx", is the model itself/],
    ["external: too many entries", "external-entries", UnsupportedError, /has more than 64 entries/],
    ["external: twice", "external-twice", FormatError, /has the key "location" twice/],
    ["external: and inside", "external-and-raw", FormatError, /both raw_data and another file/],
    ["external: negative or no number", "external-offset-negative external-offset-text", FormatError, /not a whole number of bytes/],
    ["external: past the end", "external-offset-past", FormatError, /lies past the end of "d", which has 4096/],
    ["external: another length", "external-length", FormatError, /external data has 5 bytes, but the shape and type need 1536/],
  ],
  safetensors_reader: [["under 8 bytes", "short", FormatError, /has 7 bytes, not even the 8/], [
      "header longer than the rest", "length-past-end length-cap", FormatError, /header's length is \d+, but only 2 bytes follow/],
    ["header of 2^63 bytes", "length-2-63", FormatError, /header's length is 2\^63 or more/],
    ["no header", "header-empty", FormatError, /header is empty/],
    ["invalid UTF-8", "utf8", FormatError, /not valid UTF-8/],
    ["no {, leading white space", "header-array leading-space", FormatError, /does not begin with "\{"/],
    ["trailing garbage", "trailing-garbage trailing-nul", FormatError, /goes on after its value/],
    ["byte order mark", "bom", FormatError, /byte order mark/],
    ["duplicate tensor name", "tensor-twice", FormatError, /two tensors have one name/],
    ["duplicate inner key", "inner-twice metadata-twice", FormatError, /^"[^"]+": the key "\w+" occurs twice/],
    ["overlap", "overlap", FormatError, /overlaps another tensor's/],
    ["hole", "hole", FormatError, /the 1 bytes before its data belong to no tensor/],
    ["trailing bytes", "trailing-bytes", FormatError, /the last 2 bytes of the file belong to no tensor/],
    ["end before begin", "end-before-begin", FormatError, /end before they begin/],
    ["past the end", "past-end", FormatError, /ends at byte 2 of the data, of which the file has 1/],
    ["overflowing shape", "shape-overflow", FormatError, /more elements than 64 bits can count/],
    ["size other than shape × dtype", "size-other", FormatError, /need 4 bytes, its data_offsets give 1/],
    ["unknown dtype", "dtype-unknown", FormatError, /the dtype "U7" is unknown/],
    ["sub-byte misalignment", "four-bits six-bits", FormatError, /do not fill the tensor's last byte/],
    ["negative integer", "dim-negative", FormatError, /is negative/],
    ["fraction or exponent", "dim-fraction dim-exponent", FormatError, /with a fraction or an exponent/],
    ["integer of 2^53", "dim-2-53", FormatError, /is 2\^53 or more/],
    ["__metadata__ that is no string", "metadata-number", FormatError, /__metadata__ must be strings/],
    ["deep nesting", "deep", UnsupportedError, /nested deeper than 64 levels/],
    ["shard: ..", "shard-up", FormatError, /"\.\.\/a" leads out of the model's folder/],
    ["shard: a URL", "shard-url", FormatError, /"http:\/\/a" is a URL/],
    ["shard: the index", "shard-is-index", FormatError, /is the index itself/],
    ["shard: missing", "shard-missing", FormatError, /the shard "c" is missing/],
    ["shard: tensor in another", "shard-other", FormatError, /"b" holds this tensor, but the index has it in "a"/],
    ["shard: without the tensor", "shard-without", FormatError, /which does not hold it/],
    ["index without a map", "no-weight-map", FormatError, /has no "weight_map"/],
    ["index whose map is none", "weight-map-array", FormatError, /expected an object, found an array/],
    ["a Git LFS pointer", "lfs", FormatError, /Git LFS pointer/],
    ["an HTML page", "html", FormatError, /HTML or XML page/],
  ],
  gguf_reader: [["bad magic", "magic", FormatError, /no GGUF file/], ["version", "version", UnsupportedError, /version 1 is not known/], ["big-endian", "big-endian", UnsupportedError, /big-endian/], ["number of tensors", "tensors-wrap", UnsupportedError, /it has 18446744073709551615 tensors/], ["number of keys", "keys-wrap", UnsupportedError, /it has 18446744073709551615 keys/], [
      "length of a key, a file that hangs a reader", "key-length short", FormatError, /a key has \d+ bytes; 1 to 65535/],
    ["cut within a key", "key-truncated", FormatError, /ends within a key/],
    ["string past the end, or of 2^64 - 1 bytes", "string-past-end string-length", FormatError, /a string of key "k" has \d+ bytes, more/],
    ["array past the end", "array-wrap", FormatError, /an array of key "k" has 18446744073709551615 elements/],
    ["unknown value type", "value-type", FormatError, /has a value of unknown type 13/],
    ["unknown element type", "array-type", FormatError, /is an array of unknown type 13/],
    ["nested arrays", "arrays-nested", FormatError, /nested more than 4 deep/],
    ["a bool of 2", "bool-2", FormatError, /neither true nor false/],
    ["duplicate key", "key-twice", FormatError, /a key occurs twice/],
    ["duplicate tensor", "tensor-twice", FormatError, /two tensors have this name/],
    ["0 or 5 dimensions", "rank-0 rank-5", FormatError, /it has [05] dimensions/],
    ["dimension 0", "dim-0", FormatError, /a dimension is 0/],
    ["huge dimension", "dim-huge", FormatError, /a dimension is 8589934592, above/],
    ["size that wraps", "size-wrap", FormatError, /its size does not fit 64 bits/],
    ["end that wraps", "end-wrap", FormatError, /its end does not fit 64 bits/],
    ["unknown type", "type-unknown", FormatError, /its type 99 is not known/],
    ["removed type", "type-removed", FormatError, /its type 4 was removed/],
    ["row that is no whole blocks", "row-block", FormatError, /no whole blocks of Q4_0/],
    ["alignment 0, 3 or huge", "alignment-0 alignment-3 alignment-huge", FormatError, /the alignment \d+ is no power of two/],
    ["known key of another type", "alignment-type known-key-type", FormatError, /has a value of the wrong type/],
    ["known array of another type", "known-array-type", FormatError, /is an array of the wrong type/],
    ["unaligned offset", "offset-unaligned", FormatError, /its offset 8 is not aligned/],
    ["overlap", "offset-overlap", FormatError, /overlap those of the tensor before/],
    ["hole, or an offset that wraps", "offset-hole offset-wrap", FormatError, /there is a hole/],
    ["past the end", "offset-past-end", FormatError, /its 25600 bytes lie past the end/],
    ["name of 64 bytes or none", "name-long name-empty", FormatError, /a tensor's name has (0|64) bytes/],
    ["split.count of another split", "split-count", FormatError, /belongs to another model/],
    ["missing split", "split-alone", FormatError, /"m-00002-of-00002\.gguf" is not there/],
    ["second split alone", "split-second", FormatError, /this is part 2 of 2/],
    ["number of tensors in splits", "split-tensors", FormatError, /the files have 1 tensors together/],
  ],
  tfjs_reader: [["no JSON", "not_json nan_scale truncated", FormatError, /no JSON value/], ["byte order mark", "bom", FormatError, /byte order mark/], ["no weightsManifest", "no_manifest", FormatError, /read as a TensorFlow.js model, has no "weightsManifest"/], [
      "weightsManifest that is no array", "manifest_no_array", FormatError, /expected an array, found an object/],
    ["path: ..", "traversal", FormatError, /leads out of the model's folder/],
    ["path: absolute", "absolute", FormatError, /"\/w\.bin" is absolute/],
    ["path: http:", "url", FormatError, /"http:\/\/host\/w\.bin" is a URL or/],
    ["path: data:", "data_url", FormatError, /is a data: URL/],
    ["path: \\", "backslash", FormatError, /has a backslash/],
    ["path: %2e", "escaped_path", FormatError, /means something else in a URL/],
    ["path: NUL", "nul_path", FormatError, /has a control character/],
    ["path: nothing", "empty_path", FormatError, /the path "" is empty/],
    ["path: nothing between slashes", "empty_folder", FormatError, /has an empty folder name/],
    ["file listed twice", "file_twice main_file_as_shard", FormatError, /is listed twice/],
    ["missing shard", "missing_shard", FormatError, /is number 1 of 1 files of its group/],
    ["reordered shards", "reordered_shards", FormatError, /they are out of order/],
    ["shards too short", "too_short", FormatError, /it needs 4 bytes, the weights files have 0 left/],
    ["trailing bytes", "trailing string_overflow", FormatError, /of group 1 have 5 bytes, its weights 4/],
    ["unknown dtype", "unknown_dtype", FormatError, /the weight's "dtype" is unknown/],
    ["quantization without min", "no_min", FormatError, /has no "min"/],
    ["quantization without scale", "no_scale", FormatError, /has no "scale"/],
    ["quantization without dtype", "quantization_no_dtype", FormatError, /the quantization has no "dtype"/],
    ["scale: an array", "array_scale", FormatError, /expected a number, found an array/],
    ["scale: infinite", "infinite_scale", FormatError, /too large for float64/],
    ["scale: 0", "zero_scale", FormatError, /"scale" is 0/],
    ["scale: negative", "negative_scale", FormatError, /"scale" is negative/],
    ["float16 of int32", "float16_on_int32", FormatError, /stored as float16, not int32/],
    ["quantized bool", "quantized_bool", FormatError, /can be quantized, not bool/],
    ["quantized to int8", "quantized_int8", FormatError, /is not uint8, uint16 or float16/],
    ["string past the end", "strings_end", FormatError, /goes past the end of the weights files/],
    ["more strings than bytes", "too_many_strings", FormatError, /end before its strings do/],
    ["negative dimension", "negative_dim", FormatError, /index is negative/],
    ["fractional dimension", "fractional_dim", FormatError, /with a fraction or an exponent/],
    ["huge dimension", "huge_dim", FormatError, /is 2\^53 or more/],
    ["overflowing shape", "overflowing_shape", FormatError, /more than 2\^48 elements/],
    ["duplicate weight", "duplicate_name", FormatError, /two weights have this name/],
    ["duplicate key", "duplicate_key", FormatError, /the key "weightsManifest" occurs twice/],
    ["__proto__", "proto", FormatError, /JavaScript loses/],
    ["half an element, uint16 at an odd length", "half_element odd_uint16", FormatError, /end within an element of/],
    ["files without weights", "files_without_weights", FormatError, /has files but no weights/],
    ["weights without files", "weights_without_files", FormatError, /has weights but no files/],
    ["group without paths", "no_paths", FormatError, /has no "paths"/],
    ["group without weights", "no_weights", FormatError, /has no "weights"/],
    ["weight without name", "no_name", FormatError, /a weight has no "name"/],
    ["weight without shape", "no_shape", FormatError, /the weight has no "shape"/],
    ["weight without dtype", "no_dtype", FormatError, /the weight has no "dtype"/],
    ["topology: another dtype", "const_dtype", FormatError, /differ in their type/],
    ["topology: another shape", "const_shape", FormatError, /differ in their shape/],
    ["topology: no name", "node_without_name", FormatError, /a node has no "name"/],
    ["topology: no operator", "node_without_op", FormatError, /a node has no "op"/],
    ["topology: one name twice", "two_nodes", FormatError, /two nodes are called "a"/],
  ],
};

/** Odd, and right: names of tensors that are in the model, and what became of them with int8. */
const odd = {
  onnx_reader:
    "dims-packed initializer-is-input initializer-shared sparse-out-of-range dangling cyclic opset-newer ir-newer " +
    "unknown-fields type-undefined type-unknown function-recursive external-unknown-key external-missing " +
    "external-unknown-type external-empty external-overlap external-in-branch external-in-function large-values " +
    "external conv dequantize dynamic gather gemm_rows half_old if_branch lstm matmul moved nbits",
  safetensors_reader: "zero-size names shards",
  gguf_reader:
    "arrays-of-nothing nan-scales valid-alignment valid-empty valid-float valid-k valid-q8 valid-splits valid-v2",
  tfjs_reader:
    "empty_groups missing_file graph_channels graph_float16 graph_shards graph_tensor layers product " +
    "product_float16 leading_white_space product_one_scale product_restored restore restore16 strings two_groups",
};

const recipe = { weights: "int8", minElements: 1, nonFinite: "zero" };
let folder;

before(async () => {
  await init();
  folder = await mkdtemp(join(tmpdir(), "modelshrink-hostile-"));
});
after(() => rm(folder, { recursive: true }));

async function errorOf(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** The error of inspect(), which must be that of shrink() too, and leave nothing. */
async function refused(source) {
  const error = await errorOf(() => inspect(source));
  assert.ok(error instanceof ModelShrinkError, `${error}`);
  const out = await mkdtemp(join(folder, "out-"));
  const same = await errorOf(() => shrink(source, recipe, { sink: join(out, "small") }));
  assert.equal(same?.message, error.message);
  assert.deepEqual(await readdir(out), []);
  return error;
}

for (const [target, lines] of Object.entries(broken)) {
  describe(target.replace("_reader", ""), () => {
    for (const [what, seeds, type, pattern] of lines) {
      test(`${what} is refused`, async () => {
        for (const seed of seeds.split(" ")) {
          const error = await refused(seedFiles(target, seed));
          assert.equal(error.constructor, type, error.message);
          assert.match(error.message, pattern);
          const others = lines.filter((line) => line[3].test(error.message));
          assert.deepEqual(
            others.map(([it]) => it),
            [what],
            error.message,
          );
        }
      });
    }

    for (const seed of odd[target].split(" ")) {
      test(`${seed} is odd, but right`, async () => {
        const source = seedFiles(target, seed);
        const { tensors } = await inspect(source);
        const { files } = await shrink(source, recipe);
        const again = await inspect(files);
        assert.deepEqual(contents(again.tensors), contents(tensors));
      });
    }

    test("each seed with a name is in these lists", () => {
      const named = seedNames(target).filter((seed) => !/^[0-9a-f]{12}$/.test(seed));
      const tested = [...lines.map(([, seeds]) => seeds), odd[target]].join(" ").split(" ");
      assert.deepEqual(tested.toSorted(), named);
    });
  });
}

describe("truncated at every byte of a header", () => {
  for (const [target, seed, file] of [
    ["onnx_reader", "matmul", "m.onnx"],
    ["onnx_reader", "if_branch", "m.onnx"],
    ["onnx_reader", "external", "m.onnx"],
    ["safetensors_reader", "names", "x.safetensors"],
    ["safetensors_reader", "shards", "x.index.json"],
    ["safetensors_reader", "shards", "a"],
    ["gguf_reader", "valid-float", "m.gguf"],
    ["gguf_reader", "valid-splits", "m-00001-of-00002.gguf"],
    ["gguf_reader", "valid-splits", "m-00002-of-00002.gguf"],
    ["tfjs_reader", "graph_channels", "model.json"],
    ["tfjs_reader", "layers", "model.json"],
  ]) {
    test(`${target} ${seed}: ${file}`, async () => {
      const files = seedFiles(target, seed);
      const whole = files[file];
      assert.ok((await inspect(files)).tensors.length > 0);
      let numRefused = 0;
      for (let size = 0; size < whole.length; size++) {
        const source = { ...files, [file]: whole.subarray(0, size) };
        const error = await errorOf(() => inspect(source));
        const same = await errorOf(() => shrink(source, recipe));
        assert.equal(same?.message, error?.message, `${size} bytes`);
        if (error) assert.ok(error.code === "format", `${size} bytes: ${error.stack}`);
        numRefused += error ? 1 : 0;
      }
      // Only protobuf has no end: what comes after its last needed field may be gone.
      if (target !== "onnx_reader") assert.equal(numRefused, whole.length);
      assert.ok(numRefused > 0.9 * whole.length);
    });
  }
});

const pointer = new TextEncoder().encode(
  "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
);
const page = new TextEncoder().encode("<!DOCTYPE html><title>404</title>Not found");

test("a Git LFS pointer or a page in place of any file", async () => {
  for (const [target, seed] of [
    ["onnx_reader", "external"],
    ["safetensors_reader", "shards"],
    ["gguf_reader", "valid-splits"],
    ["tfjs_reader", "graph_shards"],
  ]) {
    const files = seedFiles(target, seed);
    const main = Object.keys(files).find((name) => /^(m\.|x\.|m-00001|model)/.test(name));
    const { files: used } = await inspect(files);
    assert.ok(used.length > 1, target);
    for (const { name } of used) {
      for (const [bytes, message] of [
        [pointer, /Git LFS pointer/],
        [page, /HTML or XML page/],
      ]) {
        const error = await refused({ ...files, [name]: bytes });
        assert.equal(error.code, "format", `${name}: ${error.message}`);
        if (name === main) assert.match(error.message, message);
      }
    }
  }
});

test("a header beyond the cap is refused before it is read", async () => {
  let bytesRead = 0;
  const huge = {
    size: 2 ** 40,
    read(offset, length) {
      bytesRead += length;
      const bytes = new Uint8Array(length);
      if (offset === 0) new DataView(bytes.buffer).setBigUint64(0, 100_000_001n, true);
      return bytes;
    },
  };
  const error = await refused({ "m.safetensors": huge });
  assert.equal(error.constructor, UnsupportedError);
  assert.match(error.message, /length is 100000001; 100000000 is the most/);
  assert.ok(bytesRead < 1e6, `${bytesRead} bytes`);
});

test("only files that the model names are opened, and only once", async () => {
  for (const [target, seed, others] of [
    ["onnx_reader", "external-up", ["../d"]],
    ["safetensors_reader", "shard-up", ["../a"]],
    ["tfjs_reader", "traversal", ["a/../../w.bin"]],
    ["onnx_reader", "external", []],
    ["safetensors_reader", "shards", []],
    ["gguf_reader", "valid-splits", []],
    ["tfjs_reader", "graph_shards", []],
  ]) {
    const files = seedFiles(target, seed);
    const opened = [];
    const source = {};
    for (const [name, bytes] of Object.entries({ ...files, secret: page })) {
      // As a page's handle of a file, which is opened by getFile().
      source[name] = {
        kind: "file",
        getFile() {
          opened.push(name);
          return Promise.resolve(new File([bytes], name));
        },
      };
    }
    for (const name of others) assert.ok(!(name in source) || files[name]);
    const error = await errorOf(() => inspect(source));
    assert.equal(error !== undefined, others.length > 0);
    assert.ok(opened.length >= 1);
    for (const name of [...others, "secret"]) assert.ok(!opened.includes(name), name);
    assert.equal(new Set(opened).size, opened.length);
  }
});

describe("in a folder", () => {
  let home;
  let files;
  const secret = () => join(folder, "secret.bin");

  before(async () => {
    files = seedFiles("onnx_reader", "external");
    await writeFile(secret(), files.d);
  });

  /** A folder with the model, whose external data `make` puts at a path. */
  async function withData(make) {
    home = await mkdtemp(join(folder, "home-"));
    await writeFile(join(home, "m.onnx"), files["m.onnx"]);
    await make(join(home, "d"));
    return join(home, "m.onnx");
  }

  test("a link within it is followed", async () => {
    const inside = await withData(async (path) => {
      await writeFile(join(home, "values"), files.d);
      await symlink("values", path);
    });
    assert.ok((await inspect(inside)).tensors.length > 0);
  });

  test("links out of it, hard links, devices, pipes and folders are refused", async () => {
    for (const [make, message] of [
      [(path) => symlink(secret(), path), /outside the model's folder/],
      [(path) => symlink("../secret.bin", path), /outside the model's folder/],
      [(path) => symlink("/dev/zero", path), /outside the model's folder/],
      [(path) => link(secret(), path), /it is a hard link/],
      [(path) => execFileSync("mkfifo", [path]), /not a regular file/],
      [(path) => mkdir(path), /not a regular file/],
    ]) {
      const error = await refused(await withData(make));
      assert.equal(error.constructor, ArgumentError);
      assert.match(error.message, message);
    }
  });

  test("a link to itself is an error of the file system", async () => {
    const error = await refused(await withData((path) => symlink("d", path)));
    assert.equal(error.code, "io");
  });

  test("main files that are none", async () => {
    const pipe = join(folder, "pipe.gguf");
    execFileSync("mkfifo", [pipe]);
    const empty = join(folder, "empty.safetensors");
    await writeFile(empty, "");
    const none = join(folder, "none");
    await mkdir(none);
    for (const [path, type, message] of [
      [pipe, ArgumentError, /not a regular file/],
      ["/dev/zero", ArgumentError, /not a regular file/],
      [empty, FormatError, /the file is empty/],
      [none, ArgumentError, /There are no files; those in further folders/],
    ]) {
      const error = await refused(path);
      assert.equal(error.constructor, type, error.message);
      assert.match(error.message, message);
    }
  });
});

/** Names and numbers of elements: a writer may flatten a shape. */
function contents(tensors) {
  const count = (shape) => shape.reduce((a, b) => a * b, 1);
  return tensors.map(({ name, shape }) => `${name}: ${count(shape)}`).toSorted();
}
