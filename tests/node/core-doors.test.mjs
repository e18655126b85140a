// The core's own functions, called in the wrong order and with values that make no sense: each answers with an
// ArgumentError as a value, and none ends the instance.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { loadCore } from "../../dist/core/load.js";
import { wholeCore } from "../../dist/core/whole.js";
import { chainModel, wave } from "../support/onnx.mjs";

const file = chainModel([
  { name: "a", size: 16 },
  { name: "b", size: 16 },
]);

let core;
before(async () => {
  core = await loadCore(wholeCore);
});

/** Copies bytes or floats into the heap, for as long as the process lives. */
function place(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const ptr = core._malloc(Math.max(1, bytes.length));
  core.HEAPU8.set(bytes, ptr);
  return { ptr, size: bytes.length };
}

function refused(result, pattern = /./) {
  assert.equal(result?.error, "ArgumentError", JSON.stringify(result));
  assert.match(result.message, pattern);
}

function accepted(result) {
  assert.equal(result.error, undefined, result.message);
  return result;
}

/** Answers what a model or a run reads; the steps before `stop`. */
function advance(steps, stop) {
  for (;;) {
    const step = accepted(steps.next());
    if (step.kind === "done" || step.kind === stop) return step;
    if (step.kind === "read") feed(steps, step);
  }
}

function feed(steps, { offset, size }) {
  const { ptr } = accepted(steps.input(size));
  core.HEAPU8.set(file.subarray(offset, offset + size), ptr);
  accepted(steps.feed(size));
}

const opened = () => accepted(core.openModel("m.onnx", file.length, file.subarray(0, 64)));

function complete() {
  const model = opened();
  advance(model);
  return model;
}

const scheme = {
  ...{ type: "int8", granularity: "axis", rule: "onnx-linear", axis: 0, blockSize: 32 },
  ...{ symmetric: true, transposed: false, nonFinite: "error", saturate: false },
};
const int8 = { keep: false, scheme, mode: "storage", isForced: false };
const options = { strip: false, mainName: "" };
/** The number of the first specification for each tensor. */
const firstForAll = (model) => new Uint32Array(model.info().tensors.shared.length);
const planOf = (model) => accepted(model.plan([int8], firstForAll(model), options));

test("a model that is not read to its end tells nothing", () => {
  const model = opened();
  refused(model.info(), /not been read/);
  refused(model.plan([], new Uint32Array(0), options), /not been read/);
  refused(model.survey([0], "global", 0.5), /not been read/);
  refused(core.compareModels(model, complete()), /not been read/);
  refused(core.compareModels(complete(), model), /not been read/);
});

test("bytes are taken only when they are asked for, and only as many", () => {
  const model = opened();
  refused(model.input(8), /no bytes were asked for/);
  refused(model.feed(8), /no bytes were asked for/);
  refused(model.opened(8), /no file was asked for/);
  const { size } = advance(model, "read");
  for (const wrong of [0, size - 1, size + 1, -1, NaN, 2 ** 53]) {
    refused(model.input(wrong), /size must be/);
    refused(model.feed(wrong), /size must be/);
  }
  refused(model.feed(size), /feed comes after input/);
  feed(model, { offset: 0, size });
  refused(model.feed(size), /no bytes were asked for/);
  refused(model.input(size), /no bytes were asked for/);
});

test("a model that has failed keeps saying so", () => {
  const broken = file.map((byte, i) => (i > 8 ? 255 : byte));
  const model = accepted(core.openModel("m.onnx", broken.length, broken.subarray(0, 64)));
  const { size } = accepted(model.next());
  const { ptr } = accepted(model.input(size));
  core.HEAPU8.set(broken.subarray(0, size), ptr);
  model.feed(size);
  const { error, message } = model.next();
  assert.equal(error, "FormatError");
  for (let i = 0; i < 3; i++) assert.equal(model.next().message, message);
  refused(model.info(), /not been read/);
});

test("a file that was asked for has to be answered", () => {
  const header = new TextEncoder().encode(
    JSON.stringify({ weight_map: { a: "a.safetensors" }, metadata: {} }),
  );
  const model = accepted(
    core.openModel("m.safetensors.index.json", header.length, header.subarray(0, 64)),
  );
  let step = accepted(model.next());
  while (step.kind === "read") {
    const { ptr } = accepted(model.input(step.size));
    core.HEAPU8.set(header.subarray(step.offset, step.offset + step.size), ptr);
    accepted(model.feed(step.size));
    step = accepted(model.next());
  }
  assert.equal(step.kind, "open");
  refused(model.next(), /was not answered/);
  refused(model.feed(1), /no bytes were asked for/);
  refused(model.opened(NaN), /sizeBytes/);
  refused(model.opened(1.5), /sizeBytes/);
  accepted(model.opened(100));
  refused(model.opened(100), /no file was asked for/);
});

test("a run answers calls in any order", () => {
  const model = complete();
  const plan = planOf(model);
  const run = accepted(plan.shrink());
  assert.equal(accepted(run.next()).kind, "done");
  refused(run.input(8), /no bytes/);
  refused(run.feed(8), /no bytes/);
  const units = run.units();
  for (const wrong of [units.outputBytes.length, -1, 0.5, NaN, 2 ** 31, 2 ** 53]) {
    refused(run.start(wrong));
    refused(run.reports(wrong));
  }
  const unit = units.tensorEnds.findIndex((end) => end > 0);
  accepted(run.start(unit));
  const { size } = advance(run, "read");
  refused(run.feed(size), /feed comes after input/);
  // The bytes may still be looked at: their place is not given away.
  feed(run, { offset: 0, size });
  refused(run.input(2 * size), /no bytes/);
  accepted(run.start(unit));
  assert.equal(accepted(run.next()).kind, "read");
});

test("runs outlive their plan and their model", () => {
  const model = complete();
  const plan = planOf(model);
  const survey = accepted(model.survey([0], "lamp", 0.5));
  const channels = accepted(plan.surveyChannels());
  const run = accepted(plan.shrink());
  const comparison = accepted(core.compareModels(model, model));
  plan.delete();
  model.delete();
  assert.deepEqual(survey.shares().length, 1);
  assert.equal(survey.removedChannels(), "");
  assert.deepEqual(channels.shares(), []);
  for (const steps of [survey, channels, comparison]) advance(steps);
  assert.equal(channels.removedChannels(), "");
  for (const unit of run.units().outputBytes.keys()) {
    accepted(run.start(unit));
    advance(run);
  }
  assert.equal(run.report, undefined);
  assert.equal(survey.report, undefined);
  assert.equal(comparison.units, undefined);
  assert.equal(comparison.report().tensors.numbers.sqnr[0], Infinity);
});

test("a plan is renamed while it is run", () => {
  const model = complete();
  const plan = planOf(model);
  const run = accepted(plan.shrink());
  refused(plan.rename(""), /needs a name/);
  accepted(plan.rename("small.onnx"));
  assert.equal(plan.report().files[0].name, "small.onnx");
  accepted(run.start(0));
  advance(run);
});

test("specs, options and surveys of wrong values are refused", () => {
  const model = complete();
  const which = firstForAll(model);
  const hostile = [undefined, null, -1, 0.5, NaN, Infinity, 2 ** 60, "x", {}, [], () => 0];
  for (const wrong of [...hostile, { length: 1 }]) refused(model.plan(wrong, which, options));
  const others = [which.subarray(1), new Uint32Array(which.length + 1), [...which], which.fill(1)];
  for (const wrong of [...hostile, ...others]) refused(model.plan([int8], wrong, options));
  which.fill(0);
  const refusedSpec = (spec, pattern) => refused(model.plan([spec], which, options), pattern);
  for (const wrong of hostile) {
    refusedSpec({ ...int8, keep: wrong }, /keep/);
    refusedSpec({ ...int8, mode: wrong }, /mode/);
    // An object without the members of a scheme lacks the first one.
    refusedSpec({ ...int8, scheme: wrong }, /^(scheme|type) must be/);
    for (const key of Object.keys(scheme)) {
      refusedSpec({ ...int8, scheme: { ...scheme, [key]: wrong } }, new RegExp(key));
    }
  }
  for (const wrong of hostile) {
    refused(model.plan([wrong], which, options));
    refused(model.plan([int8], which, wrong));
    refused(model.plan([int8], which, { ...options, strip: wrong }), /strip/);
    refused(model.survey([wrong], "global", 0.5));
    if (wrong !== "x")
      refused(model.plan([int8], which, { ...options, mainName: wrong }), /mainName/);
    if (Array.isArray(wrong)) continue;
    refused(model.survey(wrong, "global", 0.5));
    if (wrong !== undefined)
      refused(model.plan([int8], which, { ...options, taps: wrong }), /taps/);
  }
  refused(model.plan([int8], which, { ...options, removedChannels: "012" }), /removedChannels/);
  refused(
    model.plan([int8], which, { ...options, taps: [{ graph: 7, value: "a", type: "float32" }] }),
  );
  const inNoBlocks = { ...int8, scheme: { ...scheme, granularity: "block", blockSize: 0 } };
  refused(model.plan([inNoBlocks], which, options));
  refused(model.survey([which.length], "global", 0.5));
  refused(model.survey([0], "other", 0.5), /allocation/);
  for (const sparsity of [-1, 2, NaN]) refused(model.survey([0], "global", sparsity));
});

/** Each function of whole arrays with a request that it accepts. */
const requests = () => {
  const x = () => place(wave(64));
  const square = () => place(new Float32Array(64).map((_, i) => (i % 9 === 0 ? 1 : 0)));
  const layer = { rows: 8, columns: 8, inputsFirst: false };
  const mask = { values: x(), mask: place(new Uint8Array(64)), shape: [8, 8], asTfmot: false };
  const amount = { amount: 0.5, isFraction: true };
  const moments = { sums: square(), samples: 8 };
  const fit = { ...layer, weights: x(), mask: place(new Uint8Array(64).fill(1)), damping: 0.01 };
  const target = { target: "n:m", n: 2, m: 4 };
  return [
    ["mask", { pattern: "elements", ...mask, ...amount }],
    [
      "mask",
      { pattern: "elements", ...mask, ...amount, seed: 7, alive: place(new Uint8Array(64)) },
    ],
    ["mask", { pattern: "runs", ...mask, dim: 1, n: 2, m: 4 }],
    ["mask", { pattern: "channels", ...mask, ...amount, dim: 1, norm: 2, nuclear: false }],
    [
      "mask",
      {
        ...{ pattern: "blocks", ...mask, ...amount, blockRows: 2, blockColumns: 2 },
        ...{ pooling: "mean", zerosPerBlock: 0 },
      },
    ],
    ["fitLayer", { method: "wanda", ...fit, norms: place(wave(8)), ...target }],
    ["fitLayer", { method: "obc", ...fit, ...moments, ...target }],
    ["fitLayer", { method: "refit", ...fit, ...moments, crossSums: square() }],
    [
      "fitLayer",
      {
        ...{ method: "feedback", ...fit, ...moments, target: "count", count: 9, scheme },
        ...{ actOrder: true, staticGroups: false },
      },
    ],
    ["layerError", { ...layer, ...moments, weights: x(), approximation: x() }],
    [
      "biasCorrection",
      {
        ...{ ...layer, weights: x(), mean: place(wave(8)), approximation: x() },
        ...{ approximateMean: place(wave(8)), out: place(wave(8)) },
      },
    ],
  ];
};

const outside = { ptr: 2 ** 31, size: 2 ** 31 };
const hostileValues = [
  ...[undefined, null, -1, 0, 1, 0.5, 3, 1000, NaN, Infinity, 2 ** 32, 2 ** 53, 2 ** 60],
  ...["", "x", true, {}, [], [0], [2 ** 53, 2 ** 53], new Array(65).fill(1), () => 0],
  ...[outside, { ptr: -4, size: 8 }, { ptr: 1, size: 256 }, { ptr: 8 }],
];

test("array functions refuse what makes no sense, and live on", () => {
  for (const [name, request] of requests()) {
    accepted(core[name](request));
    for (const key of Object.keys(request)) {
      for (const value of hostileValues) {
        const result = core[name]({ ...request, [key]: value });
        assert.ok(
          result.error === undefined ||
            /^(Argument|OutOfMemory|Unsupported)Error$/.test(result.error),
          `${name} with ${key}: ${JSON.stringify(result)}`,
        );
        const isPlace = request[key]?.ptr !== undefined;
        const isWrongKind = value !== undefined && typeof value !== typeof request[key];
        if (isWrongKind || (isPlace && value === outside)) refused(result);
        if (key === "dim" && ![0, 1, undefined].includes(value)) refused(result, /dim/);
      }
    }
    for (const value of hostileValues) {
      if (value === undefined || typeof value !== "object" || value === null)
        refused(core[name](value));
    }
    accepted(core[name](request));
  }
});
