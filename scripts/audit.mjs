// `npm run audit`: npm's look for known faults in the packages of package-lock.json, the tools of development included.
// Fails for a fault of high severity. Where the registry has no such service, or there is no network, it says so: then
// nothing passes, and nothing fails.
import { verdictOf } from "../tests/support/audit.mjs";
import { run } from "../tests/support/run.mjs";

// npm's exit code is 1 for faults and failures alike.
const { output } = await run("npm", ["audit", "--json", "--loglevel=silent"]);
const { ok, text } = verdictOf(output);
console.log(`${ok === undefined ? "–" : ok ? "✔" : "✖"} npm audit: ${text}`);
process.exitCode = ok === false ? 1 : 0;
