// The run's own files beside its outputs, in folders that somebody else may have filled.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { lstatSync, openAsBlob, truncateSync, utimesSync, writeFileSync } from "node:fs";
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, beforeEach, before, describe, test } from "node:test";
import { ArgumentError, IntegrityError, ModelShrinkError, shrink } from "modelshrink";
import { placeOf } from "../../dist/files/node/meetings.js";
import { externalModel } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

let home;
let folder;
let source;
let secret;
let output;

before(async () => {
  home = await mkdtemp(join(tmpdir(), "modelshrink-own-"));
});
after(() => rm(home, { recursive: true }));

const tensorsOf = (name, fill = 1) => [
  { name, dtype: "F32", shape: [64, 64], data: new Float32Array(4096).fill(fill) },
];

beforeEach(async () => {
  await rm(home, { recursive: true });
  folder = join(home, "model");
  await mkdir(folder, { recursive: true });
  secret = join(home, "secret");
  await writeFile(secret, "keep");
  source = join(folder, "m.safetensors");
  await writeFile(source, makeSafetensors(tensorsOf("a")));
  output = join(folder, "m.int8.safetensors");
});

/** Saves files by their names in `model`; gives the path of the first one. */
async function save(files) {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
  return join(folder, Object.keys(files)[0]);
}

/** Leaves what a run leaves that was aborted after its first unit; gives its journal's lines. */
async function leaveJournal() {
  const tensors = ["a", "b", "c"].flatMap((name) => tensorsOf(name));
  await writeFile(source, makeSafetensors(tensors));
  const controller = new AbortController();
  const onProgress = ({ phase, tensor }) => {
    if (phase === "write" && tensor !== undefined) controller.abort();
  };
  const options = { sink: output, resume: true, onProgress, signal: controller.signal };
  await assert.rejects(shrink(source, "int8", options), { name: "AbortError" });
  const lines = (await readFile(join(folder, ".m.int8.safetensors.journal"), "utf8"))
    .trim()
    .split("\n");
  assert.ok(lines.length > 1);
  return lines;
}

const contents = async () => {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((it) => it.isFile())
    .map((it) => join(it.parentPath ?? it.path, it.name));
  return Promise.all(names.sort().map(async (name) => [name, await readFile(name, "base64")]));
};

/** Runs a shrink that must fail by an error of the library, and leave everything as it was. */
async function refused(run) {
  // It may fail before anybody waits for it.
  run.catch(() => undefined);
  const before = await contents();
  let error;
  await assert.rejects(run, (it) => {
    error = it;
    assert.ok(it instanceof ModelShrinkError, String(it));
    return true;
  });
  assert.deepEqual(await contents(), before);
  assert.equal(await readFile(secret, "utf8"), "keep");
  return error;
}

describe("own files are made where nothing is, of regular files only", () => {
  const own = [".m.int8.safetensors.part", ".m.int8.safetensors.journal.new"];
  const journal = ".m.int8.safetensors.journal";
  const planted = {
    "a link": (path) => symlink("../secret", path),
    "a link to nothing": (path) => symlink("../nothing", path),
    "a link to /dev/zero": (path) => symlink("/dev/zero", path),
    "a FIFO": (path) => execFileSync("mkfifo", [path]),
    "a folder": (path) => mkdir(path),
  };
  for (const [what, plant] of Object.entries(planted)) {
    for (const name of [...own, journal, "m.int8.safetensors"]) {
      // A folder as the output takes the files by their own names.
      if (what === "a folder" && !name.startsWith(".")) continue;
      test(`${what} as ${name} is refused, and never followed`, async () => {
        await plant(join(folder, name));
        const isOld = name === journal;
        const options = { sink: output, ...(isOld ? { resume: true } : {}) };
        const error = await refused(shrink(source, "int8", options));
        assert.equal(error.code, "io");
        assert.match(error.message, /is a link|is not a regular file|is a folder/);
        assert.ok(!(await readdir(home)).includes("nothing"));
        assert.ok(await lstat(join(folder, name)));
      });
    }
  }

  test("a second name of another file is no part of an earlier run", async () => {
    for (const name of [...own, journal]) {
      await link(secret, join(folder, name));
      const isOld = name === journal;
      const run = shrink(source, "int8", { sink: output, ...(isOld ? { resume: true } : {}) });
      assert.match((await refused(run)).message, /no file of/);
      await rm(join(folder, name));
    }
  });

  test("what an earlier run has left is written anew", async () => {
    await leaveJournal();
    await writeFile(join(folder, own[1]), '{"journal":5,"out');
    assert.deepEqual(await readdir(folder), [journal, own[1], own[0], "m.safetensors"]);
    await shrink(source, "int8", { sink: output });
    assert.deepEqual(await readdir(folder), ["m.int8.safetensors", "m.safetensors"]);
    // A run that ended before its first line has written nothing yet.
    for (const name of [journal, ...own]) await writeFile(join(folder, name), "");
    await shrink(source, "int8", { sink: output });
    assert.deepEqual(await readdir(folder), ["m.int8.safetensors", "m.safetensors"]);
  });

  test("a file that no run has made is never removed, whoever reads it", async () => {
    const model = makeSafetensors(tensorsOf("a"));
    const openers = {
      "a Blob": (path) => openAsBlob(path),
      "a FileHandle": (path) => open(path),
    };
    for (const name of [...own, journal]) {
      for (const [what, opener] of Object.entries(openers)) {
        await writeFile(join(folder, name), model);
        const input = await opener(join(folder, name));
        for (const resume of [false, true]) {
          const error = await refused(shrink(input, "int8", { sink: output, resume }));
          assert.ok(error.message.includes(name), `${what}: ${error.message}`);
        }
        await input.close?.();
      }
      await rm(join(folder, name));
    }
  });

  test("a lock that has bytes is none", async () => {
    const lock = join(folder, ".m.int8.safetensors.1-999999999.lock");
    await writeFile(lock, "keep");
    await shrink(source, "int8", { sink: output });
    assert.equal(await readFile(lock, "utf8"), "keep");
    await writeFile(lock, "");
    await shrink(source, "int8", { sink: output });
    assert.deepEqual(await readdir(folder), ["m.int8.safetensors", "m.safetensors"]);
  });

  test("a journal without end is none of a run, and is refused", async () => {
    await writeFile(join(folder, journal), "");
    await truncate(join(folder, journal), 2 ** 40);
    const run = shrink(source, "int8", { sink: output, resume: true });
    await assert.rejects(run, { code: "integrity", message: /no file of/ });
    await writeFile(join(folder, journal), '{"journal":');
    await truncate(join(folder, journal), 2 ** 40);
    await shrink(source, "int8", { sink: output, resume: true });
    assert.deepEqual(await readdir(folder), ["m.int8.safetensors", "m.safetensors"]);
  });
});

test("an output's folder is not left through a link", async () => {
  const shard = makeSafetensors(tensorsOf("a"));
  const index = { weight_map: { a: "unet/1.safetensors" } };
  await save({
    "in/m.safetensors.index.json": JSON.stringify(index),
    "in/unet/1.safetensors": shard,
  });
  await mkdir(join(folder, "out"));
  await symlink("../..", join(folder, "out/unet"));
  const sink = join(folder, "out/");
  const error = await refused(shrink(join(folder, "in"), "int8", { sink }));
  assert.match(error.message, /leave .* through a link/);
  await rm(join(folder, "out/unet"));
  await shrink(join(folder, "in"), "int8", { sink });
  assert.deepEqual(await readdir(join(folder, "out/unet")), ["1.safetensors"]);
});

test("the output keeps the input's mode: 0600 stays 0600", async () => {
  for (const mode of [0o600, 0o640, 0o666, 0o444, 0o400]) {
    await chmod(source, mode);
    await shrink(source, "int8", { sink: output });
    assert.equal((await lstat(output)).mode & 0o777, mode, mode.toString(8));
  }
  const path = await save(externalModel());
  await chmod(join(folder, "model.onnx.data"), 0o600);
  await shrink(path, "int8", { sink: join(home, "out/") });
  const { mode } = await lstat(join(home, "out/model.onnx"));
  assert.equal(mode & 0o777, 0o600, "as the most private of the inputs");
  const blob = new Blob([await readFile(source)]);
  await rm(output);
  await shrink(blob, "int8", { sink: output });
  assert.equal((await lstat(output)).mode & 0o777, 0o666 & ~process.umask());
});

describe("no path of the output set, the input set and the run's own files coincides with another", () => {
  for (const name of [
    ".m.onnx.part",
    ".m.onnx.journal",
    ".m.onnx.journal.new",
    ".M.ONNX.PART",
    ".m.onnx.1-99999.lock",
    ".m.int8.onnx.part",
  ]) {
    test(`external data named ${name} is refused, whatever the output's name`, async () => {
      const [main, data] = Object.values(externalModel(name));
      const path = await save({ "m.onnx": main, [name]: data });
      for (const sink of [join(home, "out/"), join(folder, "m.int8.onnx"), `${folder}/`]) {
        const error = await refused(shrink(path, "int8", { sink }));
        assert.ok(error instanceof ArgumentError, error.message);
      }
    });
  }

  test("a shard that is named like the journal of its index is refused", async () => {
    const name = ".model.safetensors.index.json.journal";
    const index = JSON.stringify({ weight_map: { a: name } });
    const shard = makeSafetensors(tensorsOf("a"));
    const path = await save({ "model.safetensors.index.json": index, [name]: shard });
    for (const sink of [join(home, "out/"), `${folder}/`]) {
      assert.ok((await refused(shrink(path, "int8", { sink }))) instanceof ArgumentError);
    }
  });

  test("outputs that one file system may take for one are refused", async () => {
    for (const [one, two] of [
      ["a.safetensors", "A.safetensors"],
      ["\u00e9.safetensors", "e\u0301.safetensors"],
      ["stra\u00dfe.safetensors", "STRASSE.safetensors"],
    ]) {
      const index = JSON.stringify({ weight_map: { a: one, b: two } });
      const shards = ["a", "b"].map((name) => makeSafetensors(tensorsOf(name)));
      const record = { "m.safetensors.index.json": index, [one]: shards[0], [two]: shards[1] };
      const source = Object.fromEntries(
        Object.entries(record).map(([name, bytes]) => [name, Buffer.from(bytes)]),
      );
      const error = await refused(shrink(source, "int8", { sink: join(home, "out/") }));
      assert.match(error.message, /another output/);
    }
  });

  test("an output that differs from an input in case or normalisation only is refused", async () => {
    const accented = await save({ "\u00e9.safetensors": makeSafetensors(tensorsOf("a")) });
    for (const [path, sink] of [
      [source, join(folder, "M.safetensors")],
      [source, join(home, "model/../model/m.safetensors")],
      [accented, join(folder, "e\u0301.safetensors")],
    ]) {
      const error = await refused(shrink(path, "int8", { sink }));
      assert.match(error.message, /a file of the model itself/);
    }
  });

  test("a link to an input, and the link that an input was opened by, are inputs", async () => {
    await symlink("m.safetensors", join(folder, "l.safetensors"));
    for (const [path, sink] of [
      [source, "l.safetensors"],
      [join(folder, "l.safetensors"), "l.safetensors"],
      [join(folder, "l.safetensors"), "m.safetensors"],
    ]) {
      await refused(shrink(path, "int8", { sink: join(folder, sink) }));
    }
    assert.equal(await readlink(join(folder, "l.safetensors")), "m.safetensors");
  });

  test("places are compared without links in folders, and whether they exist or not", async () => {
    await symlink("model", join(home, "linked"));
    assert.equal(
      await placeOf(join(home, "linked/New/x.onnx")),
      await placeOf(join(folder, "new/X.onnx")),
    );
    assert.notEqual(await placeOf(join(folder, "a")), await placeOf(join(folder, "b")));
  });
});

describe("a source that is rewritten in place during a run is an IntegrityError, and nothing is written", () => {
  const large = () => [
    { name: "w", dtype: "F32", shape: [512, 512], data: new Float32Array(512 * 512).fill(1) },
  ];
  // At once, so that no run ends before.
  const changes = {
    "its bytes": () => {
      const data = new Float32Array(512 * 512).fill(2);
      writeFileSync(source, makeSafetensors([{ ...large()[0], data }]));
    },
    "its bytes, with the old times": () => {
      const { atime, mtime } = lstatSync(source);
      changes["its bytes"]();
      utimesSync(source, atime, mtime);
    },
    "its size": () => truncateSync(source, 5),
  };
  for (const [what, change] of Object.entries(changes)) {
    for (const resume of [false, true]) {
      test(`${what}${resume ? ", in a run that can be resumed" : ""}`, async () => {
        await writeFile(source, makeSafetensors(large()));
        let isChanged = false;
        const onProgress = ({ phase }) => {
          if (phase !== "write" || isChanged) return;
          isChanged = true;
          change();
        };
        const run = shrink(source, "int8", { sink: output, onProgress, resume });
        await assert.rejects(run, (error) => error instanceof IntegrityError);
        assert.ok(isChanged);
        assert.ok(!(await readdir(folder)).includes("m.int8.safetensors"));
      });
    }
  }

  for (const isInRecord of [false, true]) {
    test(`a Blob of a file${isInRecord ? ", in a record" : ""}`, async () => {
      await writeFile(source, makeSafetensors(large()));
      const blob = await openAsBlob(source);
      const onProgress = () => changes["its size"]();
      const run = shrink(isInRecord ? { "m.safetensors": blob } : blob, "int8", {
        ...{ sink: output, onProgress },
      });
      await assert.rejects(run, { code: "integrity", message: /changed, or is gone/ });
      assert.ok(!(await readdir(folder)).includes("m.int8.safetensors"));
    });
  }

  test("a Blob that is read without memory has not changed", async () => {
    class Large extends Blob {
      slice() {
        return {
          arrayBuffer: () => Promise.reject(new RangeError("Array buffer allocation failed")),
        };
      }
    }
    const run = shrink(new Large([makeSafetensors(tensorsOf("a"))]), "int8", { sink: output });
    await assert.rejects(run, {
      code: "out-of-memory",
      message: /more than can be allocated/,
    });
  });

  test("a source { size, read } of another size", async () => {
    const bytes = makeSafetensors(large());
    const moving = {
      size: bytes.length,
      read(offset, length) {
        if (offset + length > 100_000) moving.size = 1;
        return bytes.subarray(offset, offset + length);
      },
    };
    await assert.rejects(shrink(moving, "int8"), { code: "integrity", message: /changed while/ });
  });
});

describe("journal lines that no run has written are an IntegrityError", () => {
  const journal = () => join(folder, ".m.int8.safetensors.journal");

  const changed = (line, change) => JSON.stringify({ ...JSON.parse(line), ...change });
  const cases = {
    null: () => "null",
    "a number": () => "1e15",
    "a text": () => '"x"',
    "a list": () => "[]",
    "an object": () => "{}",
    "unit 1e15": (line) => changed(line, { unit: 1e15 }),
    "unit -1": (line) => changed(line, { unit: -1 }),
    "unit 0.5": (line) => changed(line, { unit: 0.5 }),
    "pieces null": (line) => changed(line, { pieces: null }),
    "a piece null": (line) => changed(line, { pieces: [null] }),
    "a piece of 1e15 bytes": (line) => changed(line, { pieces: [[0, 0, 1e15, "x"]] }),
    "a piece at 1e15": (line) => changed(line, { pieces: [[0, 1e15, 1, "x"]] }),
    "a piece of file 7": (line) => changed(line, { pieces: [[7, 0, 1, "x"]] }),
    "no pieces": (line) => changed(line, { pieces: [] }),
    ...Object.fromEntries(
      Object.entries({
        "reports null": () => null,
        "a list of reports": () => [],
        "no reports": (it) => ({ ...it, shared: [] }),
        "a report too many": (it) => ({ ...it, shared: [...it.shared, 0] }),
        "a text that is not there": (it) => ({ ...it, shared: it.shared.map(() => 7) }),
        "a text 5": (it) => ({ ...it, texts: [5] }),
        "a text that is no JSON": (it) => ({ ...it, texts: ["{"] }),
        "a text null": (it) => ({ ...it, texts: ["null"] }),
        "a statistic null": (it) => ({ ...it, numbers: { ...it.numbers, sqnr: [null] } }),
        "a statistic of words": (it) => ({ ...it, numbers: { ...it.numbers, sqnr: ["x"] } }),
        "statistics too many": (it) => ({ ...it, numbers: { ...it.numbers, sqnr: [1, 2] } }),
        "a statistic of another name": (it) => ({ ...it, numbers: { ...it.numbers, shape: [1] } }),
      }).map(([what, change]) => [
        what,
        (line) => changed(line, { reports: change(JSON.parse(line).reports) }),
      ]),
    ),
  };
  for (const [what, lineFor] of Object.entries(cases)) {
    test(what, async () => {
      const [head, ...lines] = await leaveJournal();
      const line = lines.find((it) => JSON.parse(it).reports.shared.length > 0);
      await writeFile(journal(), `${head}\n${lineFor(line)}\n`);
      const error = await refused(shrink(source, "int8", { sink: output, resume: true }));
      assert.ok(error instanceof IntegrityError, String(error));
      assert.match(error.message, /run without resume to start anew/);
      await shrink(source, "int8", { sink: output });
    });
  }

  test("a head null", async () => {
    await writeFile(journal(), "null\n");
    const error = await refused(shrink(source, "int8", { sink: output, resume: true }));
    assert.ok(error instanceof IntegrityError);
  });

  test("a line that is no JSON ends the journal, and its unit runs again", async () => {
    const [head, line] = await leaveJournal();
    await writeFile(journal(), `${head}\n${line}\n${"\0".repeat(20)}\n`);
    await shrink(source, "int8", { sink: output, resume: true });
    assert.deepEqual(await readdir(folder), ["m.int8.safetensors", "m.safetensors"]);
  });
});
