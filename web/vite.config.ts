import { defineConfig, type Plugin } from "vite";

/** What is larger is kept for visits without a network when it is first used. */
const largestFile = 2_000_000;

/** Lists the built page's files in files.json, for its service worker. */
const pageFiles: Plugin = {
  name: "page-files",
  generateBundle(_, bundle) {
    const files: Record<"small" | "large", string[]> = { small: [], large: [] };
    for (const file of Object.values(bundle)) {
      if (file.fileName === "index.html") continue;
      const size = file.type === "chunk" ? file.code.length : file.source.length;
      files[size > largestFile ? "large" : "small"].push(file.fileName);
    }
    this.emitFile({ type: "asset", fileName: "files.json", source: JSON.stringify(files) });
  },
};

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  // The samples come from the repository's node_modules, the library from its dist.
  server: { fs: { allow: [".."] } },
  optimizeDeps: {
    exclude: ["modelshrink", "onnxruntime-web"],
    // What is found only when a worker asks for it would reload the page.
    include: ["@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm"],
  },
  plugins: [pageFiles],
  worker: { format: "es" },
  build: { outDir: "../build/web", emptyOutDir: true, target: "es2022" },
});
