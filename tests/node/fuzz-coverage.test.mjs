// The floor of `npm run fuzz -- --coverage`: what it lets pass.
import assert from "node:assert/strict";
import { test } from "node:test";
import { foldersWithFloor, judge } from "../support/coverage-floor.mjs";

const sources = foldersWithFloor.flatMap((name) => [`${name}/a.cc`, `${name}/inner/b.cc`]);
/** Data of every source file, 100 lines each, and of a header. */
const dataOf = (covered) =>
  new Map([...sources, "base/c.h"].map((path) => [path, { count: 100, covered }]));
const failed = (files, all = sources) =>
  foldersWithFloor.filter((_, i) => !judge(files, all)[i].ok);

test("a folder passes from 80 % of its lines on", () => {
  assert.deepEqual(failed(dataOf(80)), []);
  for (const name of foldersWithFloor) {
    const files = dataOf(80).set(`${name}/a.cc`, { count: 100, covered: 79 });
    assert.deepEqual(failed(files), [name]);
    assert.match(judge(files, sources).find(({ ok }) => !ok).line, /^✖ .*: 79\.5 % of its lines/);
  }
  assert.deepEqual(failed(dataOf(79)), foldersWithFloor);
});

test("a folder that is missing from the data fails, and so does one without a file or lines of it", () => {
  assert.deepEqual(failed(new Map()), foldersWithFloor);
  assert.deepEqual(failed(dataOf(100), []), foldersWithFloor);
  for (const name of foldersWithFloor) {
    const without = dataOf(100);
    for (const path of sources) if (path.startsWith(`${name}/`)) without.delete(path);
    assert.deepEqual(failed(without), [name]);
    const withoutOne = dataOf(100);
    withoutOne.delete(`${name}/inner/b.cc`);
    assert.deepEqual(failed(withoutOne), [name]);
    assert.match(judge(withoutOne, sources).find(({ ok }) => !ok).line, /without data of .*b\.cc$/);
    const empty = dataOf(100).set(`${name}/a.cc`, { count: 0, covered: 0 });
    assert.deepEqual(failed(empty), [name]);
  }
});
