// Gives this page without a network, once a visitor has kept a model: files come from the network while there is one.
const cacheName = "modelshrink-page";
const pageFiles = new URL("files.json", self.registration.scope);

/** Keeps all files that the build lists, and leaves none of an earlier build. */
async function keepAll() {
  const names = await (await fetch(pageFiles, { cache: "no-cache" })).json();
  const wanted = ["./", ...names].map((name) => new URL(name, self.registration.scope).href);
  const cache = await caches.open(cacheName);
  await cache.addAll(wanted);
  for (const request of await cache.keys()) {
    if (!wanted.includes(request.url)) await cache.delete(request);
  }
}

async function answer(request) {
  const cache = await caches.open(cacheName);
  try {
    const response = await fetch(request);
    // Only the page itself changes under its name; what is large is kept when it is first used.
    const isNew = request.mode === "navigate" || !(await cache.match(request));
    // A full disk is no reason to give nothing.
    if (response.ok && isNew) await cache.put(request, response.clone()).catch(() => undefined);
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("message", (event) => {
  if (event.data !== "keep") return;
  const [port] = event.ports;
  const work = keepAll().then(
    () => port.postMessage(true),
    () => port.postMessage(false),
  );
  event.waitUntil(work);
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const isOfPage = request.method === "GET" && origin === self.location.origin;
  if (isOfPage && !pathname.endsWith(".onnx")) event.respondWith(answer(request));
});
