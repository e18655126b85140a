/** URL of a file in an installed package, whether or not the package exports it. */
export const packageFile = (path) => new URL(`../../node_modules/${path}`, import.meta.url);
