// Workers of a page that go wrong: this thread does the work, and says so once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { shrink } from "modelshrink";
import { launch } from "../support/chromium.mjs";
import { serveRoutes } from "../support/model-server.mjs";
import { chainModel } from "../support/onnx.mjs";

/** Large enough for workers. */
const model = chainModel([{ name: "w", size: 2200 }]);

let browser;
let site;

before(async () => {
  site = await serveRoutes({ files: true });
  site.routes["/m.onnx"] = model;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  site?.close();
});

/** Shrinks the model in a page whose workers run `script`; `wait` is given the page when one has asked for bytes. */
async function shrinkBeside(script, wait) {
  const tab = await browser.newPage();
  try {
    await tab.clock.install();
    const headers = { "content-type": "text/javascript" };
    site.routes["/dist/modelshrink-worker.js"] = { body: script, headers };
    const asked = new Promise((resolve) => {
      site.routes["/asked"] = () => {
        resolve();
        return "";
      };
    });
    await tab.goto(`${site.base}/page.html`);
    const warnings = [];
    tab.on("console", (message) => {
      if (message.type() === "warning") warnings.push(message.text());
    });
    const found = tab.evaluate(async () => {
      const { shrink } = await import("/dist/index.web.js");
      const bytes = await (await fetch("/m.onnx")).arrayBuffer();
      const file = new File([bytes], "m.onnx");
      const result = await shrink(file, "int8", { workers: 1 });
      return [...(await result.bytes()).subarray(0, 64)];
    });
    found.catch(() => undefined);
    await Promise.race([asked, found]);
    await wait(tab);
    return { begin: await found, warnings };
  } finally {
    await tab.close();
  }
}

test("a worker that asks for bytes and then says nothing is given up", async () => {
  const script = `onmessage = ({ data }) => {
    if (data.kind === "start") postMessage({ kind: "read", id: 0, input: 0, range: { file: 0, offset: 0, size: 8 } });
    if (data.kind === "bytes") fetch("/asked");
  };`;
  const { begin, warnings } = await shrinkBeside(script, (tab) => tab.clock.fastForward(120_000));
  assert.deepEqual(begin, [...(await (await shrink(model)).bytes()).subarray(0, 64)]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /it does not answer/);
});
