import { run } from "./app.mjs";

globalThis.result = run().catch((error) => ({ error: String(error?.stack ?? error) }));
