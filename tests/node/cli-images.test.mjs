// Images as samples of --inputs.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test } from "node:test";
import jpeg from "jpeg-js";
import { PNG } from "pngjs";
import { readImage } from "../../dist/cli/samples/images.js";
import { resized } from "../../dist/cli/samples/resize.js";
import { chainModel } from "../support/onnx.mjs";
import { commandFolder } from "./cli.mjs";

const { path, run, runWith } = commandFolder();

/** A PNG file of `width` × `height` pixels whose bytes are `pixelAt(i)`: [red, green, blue, opacity]. */
function png(width, height, pixelAt) {
  const image = new PNG({ width, height });
  for (let i = 0; i < width * height; i++) image.data.set(pixelAt(i), 4 * i);
  return PNG.sync.write(image);
}

const options = {
  size: undefined,
  channels: "rgb",
  mean: [0, 0, 0],
  std: [1, 1, 1],
  layout: "nchw",
};
const read = (bytes, more = {}, isPng = true) =>
  readImage("it", bytes, isPng, { ...options, ...more });
const rounded = (data) => [...data].map((it) => Number(it.toFixed(5)));
const near = (a, b, tolerance) =>
  assert.ok(
    a.length === b.length && a.every((it, i) => Math.abs(it - b[i]) <= tolerance),
    `${[...a]}`,
  );

test("pixels become values from 0 to 1, less the mean, by the deviation", async () => {
  const file = png(2, 1, (i) => (i === 0 ? [255, 0, 51, 255] : [0, 102, 204, 7]));
  const { type, data, dims } = await read(file);
  assert.deepEqual([type, dims], ["float32", [1, 3, 1, 2]]);
  assert.deepEqual(rounded(data), [1, 0, 0, 0.4, 0.2, 0.8]);
  const last = await read(file, { layout: "nhwc", channels: "bgr" });
  assert.deepEqual(last.dims, [1, 1, 2, 3]);
  assert.deepEqual(rounded(last.data), [0.2, 0, 1, 0.8, 0.4, 0]);
  const scaled = await read(file, { mean: [0.5, 0, 0.2], std: [0.5, 1, 2] });
  assert.deepEqual(rounded(scaled.data), [1, -1, 0, 0.4, 0, 0.3]);
  const gray = await read(file, { channels: "gray", mean: [0], std: [1] });
  assert.deepEqual(gray.dims, [1, 1, 1, 2]);
  assert.deepEqual(rounded(gray.data), [0.3218, 0.326]);
});

test("resizing is what Pillow's BILINEAR does", () => {
  const [width, height] = [7, 5];
  const plane = Float32Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return ((x * 37 + y * 101) % 256) / 255;
  });
  const to = (size) => resized({ width, height, planes: [plane] }, size).planes[0];
  // Image.fromarray(a, mode="F").resize((3, 2), Image.BILINEAR) of Pillow 13.0.0, and (4, 9).
  near(
    to({ width: 3, height: 2 }),
    [0.425923, 0.546839, 0.529514, 0.533588, 0.450498, 0.474204],
    1e-5,
  );
  near(
    to({ width: 4, height: 9 }),
    [
      0.076004, 0.301804, 0.568784, 0.794585, 0.20803, 0.43383, 0.633882, 0.607905, 0.428073,
      0.653874, 0.742379, 0.296774, 0.62687, 0.516967, 0.583163, 0.389335, 0.820355, 0.290824,
      0.35702, 0.58282, 0.509223, 0.39932, 0.577063, 0.510717, 0.304326, 0.498893, 0.68556,
      0.443926, 0.52437, 0.562771, 0.347869, 0.398382, 0.656396, 0.601098, 0.145255, 0.371055,
    ],
    1e-5,
  );
  assert.deepEqual(to({ width, height }), plane);
});

test("broken and huge images are refused with a sentence", async () => {
  const good = png(4, 4, () => [1, 2, 3, 255]);
  const huge = Buffer.from(good);
  huge.writeUInt32BE(1_000_000, 16);
  huge.writeUInt32BE(1_000_000, 20);
  const none = Buffer.from(good);
  none.writeUInt32BE(0, 16);
  const photo = jpeg.encode({ width: 8, height: 8, data: Buffer.alloc(256, 100) }).data;
  const wide = Buffer.from(photo);
  const sizes = wide.indexOf(Buffer.from([0xff, 0xc0]));
  wide.writeUInt32BE(0xffffffff, sizes + 5);
  for (const [bytes, isPng, pattern] of [
    [Buffer.alloc(0), true, /it is no PNG file/],
    [photo, true, /it is no PNG file/],
    [huge, true, /1000000 × 1000000 pixels/],
    [none, true, /0 × 4 pixels/],
    [good.subarray(0, 50), true, /it cannot be decoded/],
    [Buffer.from(good).fill(7, 45, 55), true, /it cannot be decoded/],
    [Buffer.alloc(10), false, /it cannot be decoded/],
    [good, false, /it cannot be decoded/],
    [wide, false, /it cannot be decoded/],
  ]) {
    await assert.rejects(read(bytes, {}, isPng), pattern, String(pattern));
  }
});

test("a folder of images is a list of samples", async () => {
  // 8 × 8 gray pixels: the 64 inputs of the model, but for their shape.
  await mkdir(path("photos"));
  for (let i = 0; i < 3; i++) {
    await writeFile(
      path("photos", `${i}.png`),
      png(16, 16, (p) => [(p * i) % 256, p, 9, 255]),
    );
  }
  const data = Buffer.from(Array.from({ length: 16 * 16 * 4 }, (_, p) => p % 251));
  await writeFile(path("photos/3.jpg"), jpeg.encode({ width: 16, height: 16, data }).data);
  // MatMul takes the last axis: rows of 64 values.
  await writeFile(
    path("rows.onnx"),
    chainModel([{ name: "w", size: 64 }], { input: [1, 1, 2, 64] }),
  );
  await run("shrink", "rows.onnx", "-o", "small.onnx");
  const args = ["verify", "rows.onnx", "small.onnx", "--inputs", "photos"];
  const image = ["--resize", "64x2", "--channels", "gray", "--mean=-0.5", "--std", "2"];
  const { code, stdout, stderr } = await run(...args, ...image, "--json");
  assert.equal(code, 0, stderr);
  assert.equal(JSON.parse(stdout).samples, 4);
  for (const [more, pattern] of [
    [["--resize", "64"], /--resize is "64"; it must be <width>x<height>/],
    [["--resize", "0x9"], /--resize is "0x9"/],
    [["--resize", "99999x9"], /--resize is "99999x9"/],
    [["--channels", "cmyk"], /--channels is "cmyk"; it must be one of rgb, bgr, gray/],
    [["--image-layout", "chw"], /--image-layout is "chw"; it must be one of nchw, nhwc/],
    [["--mean", "1,2"], /--mean is "1,2"; it must be 1 or 3 numbers/],
    [["--std", "1,0,1"], /--std is "1,0,1".*other than 0/],
    [["--std", "a"], /--std is "a"/],
  ]) {
    const result = await run(...args, ...more);
    assert.equal(result.code, 2);
    assert.match(result.stderr, pattern);
  }
});

test("a missing decoder or onnxruntime is named with its installation", async () => {
  // Nothing resolves any more.
  const source =
    `import Module from "node:module"; process.chdir(${JSON.stringify(tmpdir())});` +
    `const { _resolveFilename: resolve } = Module; Module._resolveFilename = function (name, ...rest) {` +
    ` if (/^(pngjs|onnxruntime-node)$/.test(name)) throw new Error("none"); return resolve.call(this, name, ...rest); };`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(source)}` };
  const model = path("model.onnx");
  await writeFile(
    path("a.png"),
    png(8, 8, () => [0, 0, 0, 255]),
  );
  const { code, stderr } = await runWith(
    { env },
    "verify",
    model,
    model,
    "--inputs",
    path("a.png"),
  );
  assert.equal(code, 1);
  assert.match(stderr, /Running a model needs onnxruntime-node: npm install onnxruntime-node/);
  const only = {
    NODE_OPTIONS: env.NODE_OPTIONS.replace(encodeURIComponent("|onnxruntime-node"), ""),
  };
  const images = await runWith({ env: only }, "verify", model, model, "--inputs", path("a.png"));
  assert.equal(images.code, 1);
  assert.match(images.stderr, /Reading \.png needs pngjs: npm install pngjs/);
});
