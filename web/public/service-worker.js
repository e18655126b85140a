// Gives this page without a network, once a visitor has kept a model: files come from the network while there is one.
const cacheName = "modelshrink-page";
const { scope } = self.registration;
const list = new URL("files.json", scope).href;
const assets = new URL("assets/", scope).href;

/** The network's list of the build's files, as text. */
const currentList = async () => (await fetch(list, { cache: "no-cache" })).text();

/** Keeps what the build lists, the page itself last, and leaves none of an earlier build. */
async function keepAll(text) {
  const { small, large } = JSON.parse(text);
  const href = (name) => new URL(name, scope).href;
  const cache = await caches.open(cacheName);
  await cache.addAll(small.map(href));
  await cache.addAll([scope]);
  await cache.put(list, new Response(text));
  const wanted = [scope, list, ...[...small, ...large].map(href)];
  for (const request of await cache.keys()) {
    if (!wanted.includes(request.url)) await cache.delete(request);
  }
}

/** Where a page is kept and another one is there by now, keeps that one, with all that it loads. */
async function keepNewer() {
  const kept = await (await caches.open(cacheName)).match(list);
  const text = kept && (await currentList());
  if (kept && text !== (await kept.text())) await keepAll(text);
}

async function answer(event) {
  const { request } = event;
  const cache = await caches.open(cacheName);
  const isPage = request.mode === "navigate";
  try {
    const response = await fetch(request);
    // What is large is kept when it is first used. A full disk is no reason to give nothing.
    const keep = async (copy) => {
      if (isPage) await keepNewer();
      else if (!(await cache.match(request))) await cache.put(request, copy);
    };
    if (response.ok) event.waitUntil(keep(response.clone()).catch(() => undefined));
    return response;
  } catch (error) {
    const kept = await cache.match(isPage ? scope : request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("message", (event) => {
  if (event.data !== "keep") return;
  const [port] = event.ports;
  const work = currentList()
    .then(keepAll)
    .then(
      () => port.postMessage(true),
      () => port.postMessage(false),
    );
  event.waitUntil(work);
});
self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  // A visitor's models are none of the page's files, and samples are too large for it.
  const isOfPage = mode === "navigate" || (url.startsWith(assets) && !url.endsWith(".onnx"));
  if (method === "GET" && isOfPage) event.respondWith(answer(event));
});
