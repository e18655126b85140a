#!/usr/bin/env node
// The blocks' npm. Packing what is built and installing a packed file are done; scripts that build or measure, and packages of
// the registry, are only looked up in package.json.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { scripts, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
// A shell's start-up file may have put other folders before this one.
const realPath = process.env.PATH.split(":")
  .filter((it) => it !== import.meta.dirname)
  .join(":");
const npm = (args, cwd) =>
  execFileSync("npm", args, { cwd, stdio: "inherit", env: { ...process.env, PATH: realPath } });

function fail(message) {
  console.error(message);
  process.exit(1);
}

const [command, ...rest] = process.argv.slice(2);
const [name] = command === "run" ? rest : [command];
if (command === "pack") {
  npm(["pack", "--silent", "--ignore-scripts", "--pack-destination", process.cwd()], root);
} else if (command === "install" && rest.every((it) => it.endsWith(".tgz"))) {
  npm(["install", "--offline", "--no-audit", "--no-fund", "--prefix", "app", ...rest]);
} else if (command === "install") {
  const unknown = rest.filter((it) => !it.startsWith("-") && !devDependencies[it]);
  if (unknown.length > 0) fail(`not in devDependencies: ${unknown.join(", ")}`);
} else if (scripts[name] === undefined) {
  fail(`package.json has no script "${name}"`);
}
