// The demo page's jobs: whatever happens to a worker, each of its jobs has one end.
/* global make, outcome, workers */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { launch, serve } from "../support/chromium.mjs";
import { root } from "../support/run.mjs";

const worker = `
import { serveJobs } from "./web/base/jobs.ts";
let left = 0;
serveJobs({
  count: async (to, { tell }) => {
    for (let i = 1; i <= to; ++i) tell(i);
    return to;
  },
  fail: async (why) => {
    throw new Error(why);
  },
  wait: (_, { signal, leave }) => {
    left++;
    leave(async () => void left--);
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  },
  leave: async (_, { leave }) => {
    left++;
    leave(async () => void left--);
    return null;
  },
  left: async () => left,
  breakLater: () => {
    setTimeout(() => {
      throw new Error("out of luck");
    });
    return new Promise(() => undefined);
  },
  unreadable: () => {
    setTimeout(() => dispatchEvent(new MessageEvent("messageerror")));
    return new Promise(() => undefined);
  },
});
`;
const page = `
import { Cancelled, WorkerJobs } from "./web/base/jobs.ts";
globalThis.workers = [];
globalThis.make = (script) =>
  new WorkerJobs(() => {
    const worker = new Worker(script, { type: "module" });
    workers.push(worker);
    return worker;
  });
globalThis.outcome = (task) =>
  task.result.then(
    (result) => result,
    (error) => (error instanceof Cancelled ? "cancelled" : error.message),
  );
`;

let folder;
let site;
let browser;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-jobs-"));
  for (const [name, contents] of Object.entries({ worker, page })) {
    const stdin = { contents, resolveDir: root, sourcefile: `${name}.js` };
    const outfile = join(folder, `${name}.js`);
    await build({ stdin, outfile, bundle: true, format: "esm", logLevel: "error" });
  }
  await writeFile(
    join(folder, "index.html"),
    '<!doctype html><title>Jobs</title><script type="module" src="page.js"></script>',
  );
  site = await serve(folder);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
  if (folder) await rm(folder, { recursive: true });
});

async function visit(t) {
  const tab = await browser.newPage();
  t.after(() => tab.close());
  await tab.goto(site.url);
  await tab.waitForFunction(() => globalThis.make);
  return tab;
}

test("a job tells news in their order, then gives its result or its reason", async (t) => {
  const tab = await visit(t);
  const found = await tab.evaluate(async () => {
    const jobs = make("worker.js");
    const news = [];
    const result = await outcome(jobs.start("count", 3, (it) => news.push(it)));
    return { news, result, failed: await outcome(jobs.start("fail", "no such thing")) };
  });
  assert.deepEqual(found, { news: [1, 2, 3], result: 3, failed: "no such thing" });
});

test("what a job leaves goes when it is released, and when it is cancelled", async (t) => {
  const tab = await visit(t);
  const found = await tab.evaluate(async () => {
    const jobs = make("worker.js");
    const left = () => outcome(jobs.start("left"));
    const [kept, waiting] = [jobs.start("leave"), jobs.start("wait")];
    await kept.result;
    const both = await left();
    waiting.cancel();
    const end = await outcome(waiting);
    const one = await left();
    kept.release();
    return { both, end, one, none: await left() };
  });
  assert.deepEqual(found, { both: 2, end: "cancelled", one: 1, none: 0 });
});

for (const [job, why] of Object.entries({
  breakLater: /^The worker broke: .*out of luck/,
  unreadable: /^The worker broke: .*a request cannot be read/,
})) {
  test(`all jobs of a worker that breaks (${job}) fail, and the next one has a new worker`, async (t) => {
    const tab = await visit(t);
    const found = await tab.evaluate(async (job) => {
      const jobs = make("worker.js");
      const waiting = [jobs.start("wait"), jobs.start(job)];
      const ends = await Promise.all(waiting.map(outcome));
      return { ends, next: await outcome(jobs.start("count", 1)), workers: workers.length };
    }, job);
    for (const end of found.ends) assert.match(end, why);
    assert.deepEqual([found.next, found.workers], [1, 2]);
  });
}

test("an answer that cannot be read, a script that does not load and what cannot be sent are failures", async (t) => {
  const tab = await visit(t);
  const found = await tab.evaluate(async () => {
    const jobs = make("worker.js");
    const waiting = jobs.start("wait");
    workers[0].dispatchEvent(new MessageEvent("messageerror"));
    return {
      unreadable: await outcome(waiting),
      missing: await outcome(make("no-worker.js").start("count", 1)),
      unsendable: await outcome(jobs.start("count", () => undefined)),
    };
  });
  assert.match(found.unreadable, /cannot be read/);
  assert.match(found.missing, /its script did not load/);
  assert.match(found.unsendable, /could not be cloned/);
});

test("jobs that are stopped are cancelled", async (t) => {
  const tab = await visit(t);
  const found = await tab.evaluate(async () => {
    const jobs = make("worker.js");
    const waiting = [jobs.start("wait"), jobs.start("wait")];
    jobs.stop();
    return Promise.all(waiting.map(outcome));
  });
  assert.deepEqual(found, ["cancelled", "cancelled"]);
});
