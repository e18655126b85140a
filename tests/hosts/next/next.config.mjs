import documented from "./documented.mjs";

// The tools are installed two folders above.
const root = new URL("../..", import.meta.url).pathname;

export default { ...documented, turbopack: { root }, outputFileTracingRoot: root };
