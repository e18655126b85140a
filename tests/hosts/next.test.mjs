// Next.js: a page and a server route, built by Turbopack and by webpack.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../support/chromium.mjs";
import { tinyModel } from "../support/app/tiny-model.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { runInNode, runInPage } from "../support/installed-package.mjs";
import { installBesideTools, node, run, start, tool } from "./tools.mjs";

const next = [node(24), tool("next/dist/bin/next")];
let installed;
let browser;
let expected;

before(async () => {
  installed = await installBesideTools();
  await cp(fileURLToPath(new URL("next", import.meta.url)), installed.folder, { recursive: true });
  await writeFile(join(installed.folder, "documented.mjs"), await hostBlock("next.config.mjs"));
  const chosen = join(installed.folder, "app/chosen");
  await mkdir(chosen);
  await writeFile(join(chosen, "page.jsx"), await hostBlock("next-page.jsx"));
  expected = await runInNode(installed.folder);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await installed?.remove();
});

/** `next start` on a free port: { url, close() }. */
async function serveBuild() {
  const server = start(installed.folder, ...next, "start", "-p", "0", "-H", "127.0.0.1");
  const closed = new Promise((resolve) => server.on("close", resolve));
  const url = await new Promise((resolve, reject) => {
    server.stdout.on("data", () => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(server.output)?.[0];
      if (found && /Ready/.test(server.output)) resolve(found);
    });
    closed.then(() => reject(new Error(server.output)));
  });
  return {
    url,
    close: async () => {
      server.kill();
      await closed;
    },
  };
}

async function answer(url) {
  const response = await fetch(url);
  if (response.ok) return response.json();
  throw new Error(`${url}: ${response.status} ${await response.text()}`);
}

for (const bundler of ["turbopack", "webpack"]) {
  test(`Next 16, ${bundler}`, async (t) => {
    await run(installed.folder, ...next, "build", `--${bundler}`);
    const server = await serveBuild();
    try {
      await t.test("page", async () => {
        assert.deepEqual(await runInPage(browser, server.url), expected);
      });
      await t.test("the documented component", async () => {
        const page = await browser.newPage();
        await page.goto(new URL("/chosen", server.url).href);
        const buffer = Buffer.from(tinyModel());
        // Before React has taken the page over, nobody hears of the file.
        const input = page.locator("input");
        await page.waitForFunction(() =>
          Object.keys(document.querySelector("input")).some((key) => key.startsWith("__react")),
        );
        await input.setInputFiles({ name: "a.onnx", mimeType: "application/octet-stream", buffer });
        const link = page.getByRole("link", { name: /^a\.onnx, [\d.]+ kB$/ });
        const bytes = await link.evaluate(async ({ href }) => [
          ...new Uint8Array(await (await fetch(href)).arrayBuffer()),
        ]);
        await page.close();
        assert.equal(createHash("sha256").update(Buffer.from(bytes)).digest("hex"), expected.small);
      });
      await t.test("server route", async () => {
        assert.deepEqual(await answer(new URL("/api", server.url)), expected);
      });
      await t.test("what a deployment traces", async () => {
        const traced = join(installed.folder, ".next/server/app/api/route.js.nft.json");
        const { files } = JSON.parse(await readFile(traced, "utf8"));
        for (const name of ["wasm/simd.wasm", "wasm/baseline.wasm", "worker.js"]) {
          assert.ok(
            files.some((file) => file.endsWith(`/modelshrink/dist/${name}`)),
            name,
          );
        }
      });
    } finally {
      await server.close();
    }
  });
}
