// shrink with a layout in a page: a folder of the private file system in, another one out.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { shrink } from "modelshrink";
import { launch, serve } from "../support/chromium.mjs";
import { root } from "../support/run.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";

let browser;
let site;
let tab;

const imports = { modelshrink: "/dist/index.web.js" };
const page = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`;

before(async () => {
  site = await serve(root);
  browser = await launch();
  tab = await browser.newPage();
  await tab.route("**/page.html", (route) =>
    route.fulfill({ body: page, contentType: "text/html" }),
  );
  await tab.goto(`${site.url}page.html`);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

test("folders' handles are read and filled as paths are; only an empty one is filled", async () => {
  const files = sentenceModel();
  const given = Object.entries(files).map(([name, bytes]) => [name, [...bytes]]);
  const { written, problems } = await tab.evaluate(async (given) => {
    const { shrink } = await import("modelshrink");
    const home = await navigator.storage.getDirectory();
    const folder = (name) => home.getDirectoryHandle(name, { create: true });
    const [source, sink, other] = [await folder("in"), await folder("out"), await folder("other")];
    for (const [path, bytes] of given) {
      const parts = path.split("/");
      const at =
        parts.length > 1 ? await source.getDirectoryHandle(parts[0], { create: true }) : source;
      const stream = await (
        await at.getFileHandle(parts.at(-1), { create: true })
      ).createWritable();
      await stream.write(Uint8Array.from(bytes));
      await stream.close();
    }
    const problems = [];
    const options = { layout: "transformers", sink };
    await shrink(source, undefined, options);
    const refused = async (from, options) =>
      problems.push(await shrink(from, undefined, options).catch(({ message }) => message));
    await refused(source, options);
    await refused(source, { ...options, sink: "path" });
    await refused("path", { ...options, sink: other });
    const written = {};
    const list = async (at, prefix) => {
      for await (const [name, entry] of at) {
        if (entry.kind === "directory") await list(entry, `${prefix}${name}/`);
        else {
          const bytes = await (await entry.getFile()).arrayBuffer();
          written[prefix + name] = [...new Uint8Array(bytes)];
        }
      }
    };
    await list(sink, "");
    return { written, problems };
  }, given);
  const { files: expected } = await shrink(files, undefined, { layout: "transformers" });
  assert.deepEqual(Object.keys(written).sort(), Object.keys(expected).sort());
  for (const [name, blob] of Object.entries(expected)) {
    assert.deepEqual(Buffer.from(written[name]), Buffer.from(await blob.arrayBuffer()), name);
  }
  assert.match(problems[0], /"out" is not empty/);
  assert.match(problems[1], /pass the folder's handle/);
  assert.match(problems[2], /pass the folder's handle/);
});
