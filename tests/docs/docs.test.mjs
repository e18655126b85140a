// README.md and docs/: every block of code runs, every link leads somewhere, every generated part is up to date.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { pagePaths } from "../support/docs.mjs";
import { root } from "../support/run.mjs";
import { launch, serve } from "../support/chromium.mjs";
import { readBlocks } from "./blocks.mjs";
import { freeNames } from "./free-names.mjs";
import { fixtures, writeFiles, writeImages } from "./fixtures.mjs";
import { fixtures as pageFixtures } from "./page-fixtures.mjs";

const run = promisify(execFile);
const here = import.meta.dirname;
// Inside the package, so that its own name resolves.
const folder = join(root, "build/docs");
const blocks = await readBlocks();
const pages = await pagePaths();
const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
const maxNotRun = 3;
// No bound on speed, only on hanging.
const timeout = 300_000;

const folderOf = (page) => join(folder, page.replaceAll(/\W/g, "-"));

let browser;

before(async () => {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeImages();
  for (const page of pages) {
    const modules = join(folderOf(page), "node_modules");
    await mkdir(modules, { recursive: true });
    await writeFiles(folderOf(page));
    // What a static server serves.
    await symlink(root, join(modules, "modelshrink"));
    await symlink(join(root, "node_modules/onnxruntime-web"), join(modules, "onnxruntime-web"));
  }
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A block with what it takes from its reader. */
function withFixtures(code, known, url) {
  const free = freeNames(code);
  const names = Object.keys(known).filter((name) => free.has(name));
  if (names.length === 0) return code;
  const lines = names.map((name) => `const ${name} = await fixtures.${name}();`);
  return `import { fixtures } from "${url}";\n${lines.join("\n")}\n${code}`;
}

const fileOf = ({ name, file }, extension) => file ?? `${name.replaceAll(/\W/g, "-")}.${extension}`;

/** Threads of onnxruntime-web in Node.js wait by spinning, which starves everything else on a busy machine. */
const oneThread = "ort.env.wasm.numThreads = 1;\n";

async function scriptOf(block, known, url) {
  const isWebInNode = block.where === "node" && block.code.includes('ort from "onnxruntime-web"');
  const code = (isWebInNode ? oneThread : "") + withFixtures(block.code, known, url);
  if (block.language !== "ts") return code;
  return (await transform(code, { loader: "ts", format: "esm", target: "es2022" })).code;
}

async function runInNode(block) {
  const cwd = folderOf(block.page);
  const path = join(cwd, fileOf(block, "mjs"));
  await writeFile(path, await scriptOf(block, fixtures, join(here, "fixtures.mjs")));
  const args = ["--import", join(here, "example-com.mjs"), path];
  const { stdout } = await run(process.execPath, args, { cwd, timeout });
  if (block.code.includes("console.log")) assert.notEqual(stdout, "");
}

async function runInShell(block) {
  const PATH = `${join(here, "bin")}:${process.env.PATH}`;
  const NODE_OPTIONS = `--import ${join(here, "example-com.mjs")}`;
  const script = `set -euo pipefail\n${block.code}`;
  await run("bash", ["-c", script], {
    cwd: folderOf(block.page),
    timeout,
    env: { ...process.env, PATH, NODE_OPTIONS },
  });
}

/** The file that a browser loads for an entry of `exports` or `imports`. */
const forBrowsers = (entry) =>
  typeof entry === "object" ? forBrowsers(entry.browser ?? entry.default) : entry;

function importMap() {
  const own = Object.entries({ ...manifest.exports, ...manifest.imports })
    .map(([name, entry]) => [name.replace(/^\./, manifest.name), forBrowsers(entry)])
    .filter(([name]) => !name.includes("*"))
    .map(([name, file]) => [name, `/node_modules/modelshrink/${file.replace("./", "")}`]);
  const ort = "/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
  return JSON.stringify({ imports: { ...Object.fromEntries(own), "onnxruntime-web": ort } });
}

/** A page that runs a script, or the block itself when it is HTML; it has ended when it logs something. */
async function pageOf(block) {
  if (block.language === "html") return `<!doctype html>\n${block.code}`;
  const code = await scriptOf(block, pageFixtures, "/page-fixtures.mjs");
  return (
    `<!doctype html><script type="importmap">${importMap()}</script>` +
    `<script type="module">${code}</script>`
  );
}

async function runInBrowser(block) {
  const cwd = folderOf(block.page);
  const file = fileOf(block, "html");
  await writeFile(join(cwd, file), await pageOf(block));
  await writeFile(join(cwd, "page-fixtures.mjs"), await readFile(join(here, "page-fixtures.mjs")));
  const server = await serve(cwd);
  const page = await browser.newPage();
  try {
    const ended = new Promise((resolve, reject) => {
      page.on("pageerror", reject);
      page.on("console", (message) => {
        if (message.type() === "log") resolve();
        const isIcon = message.location().url.endsWith("/favicon.ico");
        if (message.type() === "error" && !isIcon) reject(new Error(message.text()));
      });
      setTimeout(reject, timeout, new Error("The page logged nothing.")).unref();
    });
    await Promise.all([ended, page.goto(server.url + file)]);
  } finally {
    await page.close();
    await server.close();
  }
}

/** The text of all tests in a folder of tests/. */
async function testsOf(folder) {
  const names = await readdir(join(root, "tests", folder));
  const paths = names
    .filter((it) => it.endsWith(".test.mjs"))
    .map((it) => join(root, "tests", folder, it));
  return (await Promise.all(paths.map((path) => readFile(path, "utf8")))).join("");
}

const runners = {
  script: (block) => (block.where === "browser" ? runInBrowser(block) : runInNode(block)),
  html: runInBrowser,
  shell: runInShell,
  json: async (block) => {
    JSON.parse(block.code);
    if (block.file) await writeFile(join(folderOf(block.page), block.file), block.code);
  },
  host: async ({ host }) => {
    const tests = await Promise.all(["package", "hosts", "browser"].map(testsOf));
    assert.ok(tests.join("").includes(`hostBlock("${host}")`), `no test runs "host ${host}"`);
  },
  text: () => undefined,
};

describe("blocks", { concurrency: 2 }, () => {
  for (const page of pages) {
    const own = blocks.filter((block) => block.page === page && block.notRun === undefined);
    test(page, async (t) => {
      for (const block of own) await t.test(block.name, () => runners[block.kind](block));
    });
  }
});

test("nearly every block runs", () => {
  assert.ok(blocks.filter(({ kind }) => kind !== "text").length >= 30);
  const notRun = blocks.filter(({ notRun }) => notRun !== undefined).map(({ name }) => name);
  assert.ok(notRun.length <= maxNotRun, `not run: ${notRun.join(", ")}`);
});

/** What the types of recipes refuse, as the functions do. */
const refused = `
import { shrink } from "modelshrink";
declare const model: Uint8Array;
// @ts-expect-error -- no amount
await shrink(model, { prune: { method: "magnitude" } });
// @ts-expect-error -- n:m of whole channels
await shrink(model, { prune: { method: "structured", n: 2, m: 4 } });
// @ts-expect-error -- another method's option
await shrink(model, { prune: { method: "magnitude", sparsity: 0.5, multipleOf: 1 } });
`;

test("blocks in TypeScript are right for the compiler", async () => {
  const typed = join(folder, "typed");
  await mkdir(typed, { recursive: true });
  const files = { "refused.ts": refused };
  for (const block of blocks.filter(({ language }) => language === "ts")) {
    const code = withFixtures(block.code, fixtures, "../../../tests/docs/fixtures.mjs");
    // Only a declaration file can declare modules that are not there.
    if (code.startsWith("declare module")) files[fileOf(block, "d.ts")] = code;
    else files[fileOf(block, "ts")] = `${code}\nexport {};\n`;
  }
  for (const [name, code] of Object.entries(files)) await writeFile(join(typed, name), code);
  const options = {
    ...{ strict: true, noEmit: true, target: "ES2022", module: "NodeNext", skipLibCheck: false },
    ...{ lib: ["ES2022", "DOM", "DOM.Iterable"], types: [] },
  };
  const config = { compilerOptions: options, files: Object.keys(files) };
  await writeFile(join(typed, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = await run(process.execPath, [tsc, "-p", typed]).catch((error) => error);
  assert.equal(stdout, "");
});

test("generated parts are up to date", async () => {
  const script = join(root, "scripts/write-docs.mjs");
  const { stderr } = await run(process.execPath, [script, "--check"]).catch((error) => error);
  assert.equal(stderr, "");
});

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

test("links lead somewhere", async () => {
  const texts = {};
  for (const page of pages) texts[page] = await readFile(join(root, page), "utf8");
  const anchors = (text) => [...text.matchAll(/^#+ (.+)$/gm)].map(([, it]) => anchorOf(it));
  const broken = [];
  for (const [page, text] of Object.entries(texts)) {
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [path, anchor] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      const isThere = existsSync(join(root, target));
      const hasAnchor =
        anchor === undefined || (texts[target] && anchors(texts[target]).includes(anchor));
      if (!isThere || !hasAnchor) broken.push(`${page}: ${link}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("the README is short", async () => {
  const lines = (await readFile(join(root, "README.md"), "utf8")).trimEnd().split("\n").length;
  assert.ok(lines <= 200, `${lines} lines`);
});
