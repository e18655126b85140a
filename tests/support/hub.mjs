// A model hub on this machine that answers as huggingface.co does.
import { createServer } from "node:http";
import { json, small } from "./layouts.mjs";

export const commit = "0123456789abcdef0123456789abcdef01234567";
export const listing = (names) =>
  json({ sha: commit, siblings: names.map((rfilename) => ({ rfilename })) });

/** A hub with one repository, "me/tiny", while `work` runs; `work` gets its address and the paths of requests. */
export async function withHub(list, work, files = small) {
  const requests = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url);
    requests.push(path);
    const prefix = `/me/tiny/resolve/${commit}/`;
    const isList = /^\/api\/models\/me\/tiny\/revision\/(main|v1)$/.test(path);
    if (path.startsWith(prefix)) {
      response
        .writeHead(302, { location: `/cdn/${encodeURIComponent(path.slice(prefix.length))}` })
        .end();
      return;
    }
    const body = isList
      ? list
      : path.startsWith("/cdn/")
        ? files[path.slice("/cdn/".length)]
        : undefined;
    response.writeHead(body ? 200 : 404, { "content-length": body?.length ?? 0 }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work(`http://127.0.0.1:${server.address().port}/me/tiny`, requests);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
