// A server on this machine that gives what a test says, and remembers what it was asked for.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { root } from "./run.mjs";

const sizeOf = (body) => Buffer.byteLength(body);

/** Gives a body in eight pieces, with a pause of so many milliseconds before each. */
function giveSlowly(response, body, pause) {
  const step = Math.ceil(body.length / 8);
  let at = 0;
  const timer = setInterval(() => {
    response.write(body.subarray(at, (at += step)));
    if (at < body.length) return;
    clearInterval(timer);
    response.end();
  }, pause);
  response.on("close", () => clearInterval(timer));
}

/** Gives a function that resolves when so many bytes may go on a line of `rate` bytes a second that all share. */
export function newLine(rate) {
  let free = 0;
  return async (size) => {
    // A timer that is late does not slow the line down.
    free = Math.max(free, performance.now() - 50) + (1000 * size) / rate;
    const wait = free - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  };
}

/** Gives a function for `line` that lets so many bytes go, and more when `opened` resolves; a line that is cut breaks then. */
export function gate(bytes, opened, { isCut = false } = {}) {
  let given = 0;
  return async (size) => {
    given += size;
    if (given <= bytes) return undefined;
    await opened;
    return isCut ? "cut" : undefined;
  };
}

/** Gives a body as the line lets it, and as the other end takes it. */
async function giveByLine(response, body, line) {
  const step = 1 << 16;
  response.flushHeaders();
  for (let at = 0; at < body.length && !response.destroyed; at += step) {
    if ((await line(Math.min(step, body.length - at))) === "cut") response.destroy();
    if (response.write(body.subarray(at, at + step))) continue;
    await new Promise((resolve) => {
      const goOn = () => resolve(response.off("drain", goOn).off("close", goOn));
      response.on("drain", goOn).on("close", goOn);
    });
  }
  response.end();
}

/** Gives what a route says for a request. */
function answerOf(route, request) {
  const given = typeof route === "function" ? route(request) : route;
  if (given === undefined) return { status: 404, headers: {}, body: "" };
  const isBody = typeof given === "string" || given.length !== undefined;
  return { status: 200, headers: {}, body: "", ...(isBody ? { body: given } : given) };
}

const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** A page, and the repository's files for it, which pages without an origin may have, too. */
async function fileOf(url) {
  const path = new URL(url, "http://localhost").pathname;
  const body = path === "/page.html" ? page : await readFile(join(root, path)).catch(() => {});
  const type = types[extname(path)] ?? "application/octet-stream";
  return body && { body, headers: { "content-type": type, "access-control-allow-origin": "*" } };
}

const pageOf = (imports) => `<!doctype html><link rel="icon" href="data:,"><script type="importmap">
  ${JSON.stringify({ imports: { "modelshrink/cache": "/dist/cache.web.js", ...imports } })}
</script>`;

/** A page that knows modelshrink/cache by its name. */
export const page = pageOf({});

/** The route of a page that knows other modules by their names, too. */
export const appPage = (imports) => ({
  body: pageOf(imports),
  headers: { "content-type": "text/html" },
});

/**
 * Resolves to { base, routes, requests, close }. `routes` has by path and query (as they are, or decoded) a body, or
 * { body, status, headers }, or a function of the request that gives one of these; a HEAD gets no body. With `end` the
 * connection breaks after so many bytes of the body, with `stop` nothing more comes after them, with `pause` they
 * come slowly, and with `line`, which {@link newLine} or {@link gate} gives, as that lets them. `requests` has for each one { line, headers }. With `files` there are
 * /page.html and the repository's files, too, whose requests are not remembered.
 */
export async function serveRoutes({ files = false } = {}) {
  const site = { routes: {}, requests: [] };
  const server = createServer(async (request, response) => {
    const { method, url, headers: asked } = request;
    let route = site.routes[url] ?? site.routes[decodeURIComponent(url)];
    const file = files && route === undefined ? await fileOf(url) : undefined;
    if (file) route = file;
    else site.requests.push({ line: `${method} ${url}`, headers: asked });
    const { status, headers, body, end, stop, pause, line } = answerOf(route, request);
    response.writeHead(status, { "content-length": sizeOf(body), ...headers });
    if (method === "HEAD") response.end();
    else if (pause !== undefined) giveSlowly(response, body, pause);
    else if (line !== undefined) await giveByLine(response, body, line);
    else if (stop !== undefined) response.write(body.subarray(0, stop));
    else if (end !== undefined) response.write(body.subarray(0, end), () => response.destroy());
    else response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  site.base = `http://127.0.0.1:${server.address().port}`;
  site.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return site;
}

/**
 * A route of a server that has ranges, and breaks the connection after `end` bytes where it is given. `headers` are the
 * file's validators; a range is given only where If-Range, if there is one, names one of them.
 */
export const ranged =
  (body, headers, end = undefined) =>
  ({ headers: { range, "if-range": condition } }) => {
    const begin = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? NaN);
    const isSame = condition === undefined || Object.values(headers).includes(condition);
    if (Number.isNaN(begin) || !isSame) return { body, headers, end };
    const contentRange = `bytes ${begin}-${body.length - 1}/${body.length}`;
    return {
      ...{ status: 206, body: body.subarray(begin), end },
      headers: { ...headers, "content-range": contentRange },
    };
  };
