// The package as users get it: packed, and installed in an empty folder with the app of tests/support/app.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { serve } from "./chromium.mjs";
import { root } from "./run.mjs";

const exec = promisify(execFile);
const app = join(root, "tests/support/app");

/** A new folder within `parent` where the tarball is installed, beside the app: { folder, tarball, remove() }. */
export async function installPackage(parent = tmpdir()) {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, "modelshrink-package-"));
  // What is tested was built before; packing must not build it again beside other tests.
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const { stdout } = await exec("npm", args, { cwd: root });
  const tarball = join(folder, JSON.parse(stdout)[0].filename);
  const manifest = { name: "app", private: true, type: "module", sideEffects: ["*"] };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  await exec("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], { cwd: folder });
  await cp(app, folder, { recursive: true });
  return { folder, tarball, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** What the app gives in this Node.js, for comparison with other hosts. */
export const runInNode = (folder) =>
  import(pathToFileURL(join(folder, "app.mjs"))).then(({ run }) => run());

/** `expected` as a host gives it that starts no worker and says so once. */
export const onOneThread = (expected, warning) => ({
  ...expected,
  large: { ...expected.large, byWorker: false, warnings: [warning] },
  largeAgain: { ...expected.largeAgain, byWorker: false },
});

/** A folder within `folder` whose page loads bundle.js, and nothing else yet. */
export async function emptySite(folder, name) {
  const path = join(folder, name);
  await mkdir(path);
  await writeFile(
    join(path, "index.html"),
    `<!doctype html><script type="module" src="./bundle.js"></script>`,
  );
  return path;
}

/** Runs commands of the documentation in `folder`, with the tools of `tools`, a folder with node_modules. */
export async function runCommands(folder, commands, tools) {
  const PATH = `${join(tools, "node_modules/.bin")}:${process.env.PATH}`;
  const options = { cwd: folder, env: { ...process.env, PATH } };
  return exec("bash", ["-c", `set -euo pipefail\n${commands}`], options);
}

/** Copies files and folders of the installed package's dist/ into a site, as bundlers that leave URLs alone need it. */
export async function copyBeside({ folder }, site, ...names) {
  const dist = join(folder, "node_modules/modelshrink/dist");
  for (const name of names) await cp(join(dist, name), join(site, name), { recursive: true });
}

/** What the app gives in a page, whose script keeps it as `result`. */
export async function runInPage(browser, url, options) {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("requestfailed", (request) => problems.push(`not loaded: ${request.url()}`));
  page.on("console", (message) => problems.push(message.text()));
  try {
    await page.addInitScript((value) => (globalThis.appOptions = value), options);
    await page.goto(url);
    await page.waitForFunction(() => "result" in globalThis, undefined, { timeout: 60000 });
    return await page.evaluate(() => globalThis.result);
  } catch (error) {
    throw new Error([...problems, error.message].join("\n"), { cause: error });
  } finally {
    await page.close();
  }
}

/** The same, of a folder with an index.html. */
export async function runSite(browser, folder, options, headers) {
  const server = await serve(folder, headers);
  try {
    return await runInPage(browser, server.url, options);
  } finally {
    await server.close();
  }
}
