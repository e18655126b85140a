// Parts of the demo page that need no browser.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { root } from "../support/run.mjs";

/** A module of the page. */
async function partOf(path) {
  const { outputFiles } = await build({
    ...{ entryPoints: [join(root, "web", path)], bundle: true, format: "esm", write: false },
    ...{ platform: "node", alias: { modelshrink: join(root, "dist/base/bytes.js") } },
  });
  const code = Buffer.from(outputFiles[0].contents).toString("base64");
  return import(`data:text/javascript;base64,${code}`);
}

/** A server that answers each path by `answer`; resolves to its address and the paths that it was asked for. */
async function listen(t, answer) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.on("error", () => undefined);
    answer(request.url, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { home: `http://127.0.0.1:${server.address().port}/models/`, asked };
}

const { signal } = new AbortController();

test("files of a model are asked for beside it, whatever their names are", async (t) => {
  const { downloadAll } = await partOf("open/address.ts");
  const { home, asked } = await listen(t, (path, response) => response.end(path));
  const names = ["m.onnx", "a b#1?.data", "100%.data", "c:d.data", "in/e.data"];
  const files = await downloadAll(`${home}m.onnx?key=1`, names, { maxBytes: 1000, signal });
  assert.deepEqual(Object.keys(files), names);
  assert.deepEqual(asked, [
    "/models/m.onnx?key=1",
    "/models/a%20b%231%3F.data",
    "/models/100%25.data",
    "/models/c%3Ad.data",
    "/models/in/e.data",
  ]);
  assert.equal(await files["100%.data"].text(), "/models/100%25.data");
});

test("a model that is too large is not downloaded: as announced, in all, and as it comes", async (t) => {
  const { downloadAll } = await partOf("open/address.ts");
  let sent = 0;
  const { home, asked } = await listen(t, (path, response) => {
    // Whoever waits for the rest gets none.
    const rest = setTimeout(() => response.destroy(), 5000);
    response.on("close", () => clearTimeout(rest));
    if (path.endsWith("announced")) response.writeHead(200, { "content-length": 1001 });
    if (!path.endsWith("endless")) return response.write(Buffer.alloc(600));
    const more = () => {
      sent += 100;
      // Whoever takes it all gets an end.
      if (sent > 2e6) response.end();
      else if (response.write(Buffer.alloc(100))) setImmediate(more);
    };
    return more();
  });
  const limits = { maxBytes: 1000, signal };
  const refusal = /has more than the .* that are left for it/;
  await assert.rejects(downloadAll(`${home}announced`, ["announced"], limits), refusal);
  await assert.rejects(downloadAll(`${home}endless`, ["endless"], limits), refusal);
  assert.ok(sent < 1e6, `${sent} bytes were sent`);
  const twice = await listen(t, (_, response) => response.end(Buffer.alloc(600)));
  const both = downloadAll(`${twice.home}a`, ["a", "b", "c"], limits);
  await assert.rejects(both, /^Error: b has more than the 400 B that/);
  assert.deepEqual(twice.asked, ["/models/a", "/models/b"]);
  assert.equal(asked.length, 2);
});

test("names in the chart cover neither each other nor points", async () => {
  const { placeLabels } = await partOf("result/labels.ts");
  const points = Array.from({ length: 12 }, (_, i) => ({
    ...{ x: 60 + 9 * i, y: 80 + (i % 3) * 8, width: 30 },
  }));
  const within = { left: 0, top: 0, width: 240, height: 160 };
  const names = placeLabels(points, { dot: 9, height: 14, within });
  const dots = points.map(({ x, y }) => ({ left: x - 4.5, top: y - 4.5, width: 9, height: 9 }));
  const found = names.filter((it) => it !== undefined);
  assert.ok(found.length >= 4, `${found.length} names`);
  for (const [i, a] of found.entries()) {
    assert.ok(a.left >= 0 && a.top >= 0 && a.left + a.width <= 240 && a.top + a.height <= 160);
    for (const b of [...dots, ...found.slice(0, i)]) {
      const apartX = a.left >= b.left + b.width || b.left >= a.left + a.width;
      const apartY = a.top >= b.top + b.height || b.top >= a.top + a.height;
      assert.ok(apartX || apartY, JSON.stringify([a, b]));
    }
  }
});
