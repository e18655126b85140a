import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  // The samples come from the repository's node_modules, the library from its dist.
  server: { fs: { allow: [".."] } },
  optimizeDeps: { exclude: ["modelshrink"] },
  worker: { format: "es" },
  build: { outDir: "../build/web", emptyOutDir: true, target: "es2022" },
});
