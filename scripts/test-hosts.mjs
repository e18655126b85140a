// `npm run test:hosts`: the package in bundlers, frameworks and runtimes that are too heavy for `npm test`. Their
// packages (1.5 GB) are installed in tests/hosts.
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { root, runOrExit } from "../tests/support/run.mjs";

const hosts = join(root, "tests/hosts");

const modified = (name) => statSync(join(hosts, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;

if (modified("node_modules/.package-lock.json") < modified("package-lock.json")) {
  console.log("npm ci in tests/hosts");
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  await runOrExit("npm", ["ci", "--prefix", hosts, ...quiet], { verbose: true });
}
const files = readdirSync(hosts).filter((name) => name.endsWith(".test.mjs"));
const { status } = spawnSync(
  process.execPath,
  ["--test", "--test-reporter=spec", ...files.map((name) => join(hosts, name))],
  { stdio: "inherit" },
);
process.exitCode = status ?? 1;
