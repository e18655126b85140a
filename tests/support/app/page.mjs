import { run } from "./app.mjs";

globalThis.result = run(globalThis.appOptions).catch((error) => ({
  error: String(error?.stack ?? error),
}));
