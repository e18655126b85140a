// What axe-core finds wrong with a part of a page.
import { readFileSync } from "node:fs";
import { packageFile } from "./packages.mjs";

const source = readFileSync(packageFile("axe-core/axe.min.js"), "utf8");

/** A sentence for each kind of problem within a selector. */
export async function accessibilityProblems(page, selector) {
  // As a debugger's expression: a strict policy would not load it as a script.
  await page.evaluate(source);
  const { violations } = await page.evaluate((it) => globalThis.axe.run(it), selector);
  return violations.map(({ help, nodes }) => `${help}: ${nodes.map((it) => it.html).join(", ")}`);
}
