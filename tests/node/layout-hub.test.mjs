// Layouts of repositories on a hub: what is asked for, what is believed, and who gets a token.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { ArgumentError, FormatError, shrink, UnsupportedError } from "modelshrink";
import { commit, listing, withHub } from "../support/hub.mjs";
import { contents, json, layoutFolder, small, text, transformers } from "../support/layouts.mjs";
import { chainModel } from "../support/onnx.mjs";
import { externalSentenceModel } from "../support/sentence-model.mjs";

const { at, refused } = layoutFolder();

test("a repository on a hub is read at one commit, by its list of files", async () => {
  const names = Object.keys(small);
  await withHub(
    listing([...names, "onnx/model_q4.onnx", "pytorch_model.bin"]),
    async (url, requests) => {
      const expected = await shrink(small, undefined, transformers);
      for (const address of [url, new URL(`${url}/tree/v1`)]) {
        const { files } = await shrink(address, undefined, transformers);
        assert.deepEqual(Object.keys(files), Object.keys(expected.files));
        for (const [name, blob] of Object.entries(files)) {
          assert.deepEqual(await blob.arrayBuffer(), await expected.files[name].arrayBuffer());
        }
      }
      assert.ok(!requests.some((path) => /q4|pytorch/.test(path)));
    },
  );
});

test("a model of a hub is downloaded once when the output is a path", async () => {
  const files = externalSentenceModel();
  const out = at("out");
  await withHub(
    listing(Object.keys(files).filter((it) => !it.endsWith(".bin"))),
    async (url, requests) => {
      const progress = [];
      const onProgress = ({ phase, done }) => phase === "read" && progress.push(done);
      await shrink(url, undefined, { ...transformers, sink: out, onProgress });
      const names = Object.keys(files).filter((name) => name.startsWith("onnx/"));
      for (const name of names)
        assert.equal(requests.filter((it) => it === `/cdn/${name}`).length, 1, name);
      const sizes = names.map((name) => files[name].length);
      assert.equal(
        progress.at(-1),
        sizes.reduce((a, b) => a + b),
      );
      assert.deepEqual(
        progress,
        progress.toSorted((a, b) => a - b),
      );
    },
    files,
  );
  const { files: expected } = await shrink(files, undefined, transformers);
  const found = await contents(out);
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
  for (const [name, blob] of Object.entries(expected)) {
    assert.deepEqual(found[name], Buffer.from(await blob.arrayBuffer()), name);
  }
});

test("a hub's answers are not trusted", async () => {
  const names = Object.keys(small);
  for (const [list, error, message] of [
    [text("<html>"), FormatError, /no JSON/],
    [json(null), FormatError, /no list/],
    [json({ sha: "../../x", siblings: [] }), FormatError, /no list/],
    [json({ sha: commit, siblings: [null] }), FormatError, /without a name/],
    [listing([...names, "../../etc/x.onnx"]), FormatError, /no path in it/],
    [listing([...names, "a..%2f..\\x.onnx"]), FormatError, /no path in it/],
    [listing([...names, "\ud800.onnx"]), FormatError, /no path in it/],
    [
      listing(Array.from({ length: 10_001 }, (_, i) => `${i}`)),
      UnsupportedError,
      /more than 10000/,
    ],
    [Buffer.alloc((1 << 24) + 1, " "), UnsupportedError, /a list of files may have/],
    [listing([...names, "gone.txt"]), Error, /404/],
  ]) {
    await withHub(list, (url) => refused(url, error, message));
  }
  await refused("http://127.0.0.1:1/model.onnx", ArgumentError, /no repository's address/);
});

/** A server of a hub's files, which redirects lead to; it remembers the headers of requests. */
async function withFileServer(files, hasRanges, work) {
  const headers = [];
  const server = createServer((request, response) => {
    headers.push(request.headers);
    const body = files[decodeURIComponent(request.url).slice(1)];
    const [, begin, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (!hasRanges || !body || begin === undefined) {
      response.writeHead(body ? 200 : 404, { "content-length": body?.length ?? 0 }).end(body);
      return;
    }
    const part = body.subarray(Number(begin), Number(last) + 1);
    const range = `bytes ${begin}-${Number(begin) + part.length - 1}/${body.length}`;
    response.writeHead(206, { "content-length": part.length, "content-range": range }).end(part);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work(`http://127.0.0.1:${server.address().port}`, headers);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A hub with a private repository, whose files are at another host. */
const withPrivateHub = (authorization, work, files = small, hasRanges = false) =>
  withFileServer(files, hasRanges, async (elsewhere, headersElsewhere) => {
    const seen = [];
    const hub = createServer(({ url, headers }, response) => {
      seen.push(headers.authorization);
      const prefix = `/me/tiny/resolve/${commit}/`;
      if (headers.authorization !== authorization) response.writeHead(401).end();
      else if (url.startsWith(prefix)) {
        response.writeHead(302, { location: `${elsewhere}/${url.slice(prefix.length)}` }).end();
      } else response.end(listing(Object.keys(files)));
    });
    await new Promise((resolve) => hub.listen(0, "127.0.0.1", resolve));
    try {
      await work(`http://127.0.0.1:${hub.address().port}/me/tiny`, headersElsewhere);
      assert.deepEqual(new Set(seen), new Set([authorization]));
      assert.ok(headersElsewhere.length > 0);
      for (const headers of headersElsewhere) {
        const names = Object.keys(headers).filter((it) => /authorization|cookie/.test(it));
        assert.deepEqual(names, [], "the token stays with the hub");
      }
    } finally {
      hub.closeAllConnections();
      hub.close();
    }
  });

test("a token for a private repository goes to the hub's host alone, not where that redirects to", async () => {
  const options = { ...transformers, dtypes: ["int8"] };
  const expected = await shrink(small, undefined, options);
  const bearer = (url) => new Request(url, { headers: { authorization: "Bearer secret" } });
  for (const [authorization, sourceFor] of [
    ["Bearer secret", bearer],
    [`Basic ${btoa("me:secret")}`, (url) => url.replace("//", "//me:secret@")],
  ]) {
    for (const sink of [undefined, at(authorization.slice(0, 5))]) {
      await withPrivateHub(authorization, async (url) => {
        const { report } = await shrink(sourceFor(url), undefined, { ...options, sink });
        assert.equal(report.outputBytes, expected.report.outputBytes);
      });
    }
  }
  await withPrivateHub("Bearer secret", async (url) => {
    await shrink(bearer(url), undefined, options);
    const post = new Request(url, { method: "POST" });
    await assert.rejects(shrink(post, undefined, options), /read by GET/);
  });
});

test("a token stays with the hub also where files elsewhere are read by ranges, each of which the hub is asked for", async () => {
  const authorization = "Bearer secret";
  // More than the bytes that are asked for first.
  const main = chainModel([{ name: "w", size: 200 }]);
  const files = { "config.json": text("{}"), "onnx/model.onnx": main };
  const options = { ...transformers, dtypes: ["int8"] };
  const expected = await shrink(files, undefined, options);
  await withPrivateHub(
    authorization,
    async (url, headersElsewhere) => {
      const source = new Request(url, { headers: { authorization } });
      const { files: found } = await shrink(source, undefined, options);
      const ranges = new Set(headersElsewhere.map(({ range }) => range));
      assert.ok(ranges.size > 2, "more is read than what is asked for first");
      for (const [name, blob] of Object.entries(expected.files)) {
        assert.deepEqual(await found[name].arrayBuffer(), await blob.arrayBuffer(), name);
      }
    },
    files,
    true,
  );
});
