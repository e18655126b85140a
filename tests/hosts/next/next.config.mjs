export default {
  serverExternalPackages: ["modelshrink"],
  // The tools are installed two folders above.
  turbopack: { root: new URL("../..", import.meta.url).pathname },
};
