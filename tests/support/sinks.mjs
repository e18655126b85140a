// Sinks that remember what they were given, and how it ended.

/** A WritableStream, what it was given, and how it ended. */
export function collecting({ write = () => undefined } = {}) {
  const found = { chunks: [], end: undefined };
  const stream = new WritableStream({
    async write(chunk) {
      await write(chunk);
      found.chunks.push(chunk.slice());
    },
    close: () => void (found.end = "closed"),
    abort: (reason) => void (found.end = reason),
  });
  return { stream, found, bytes: () => new Uint8Array(Buffer.concat(found.chunks)) };
}

/** What stands for a page's FileSystemFileHandle: the file changes when it is closed. */
export function pageFile(old) {
  const found = { content: old, opened: 0, aborted: undefined };
  const createWritable = async () => {
    found.opened++;
    let bytes = new Uint8Array(0);
    const stream = new WritableStream({
      write({ position, data }) {
        const longer = new Uint8Array(Math.max(bytes.length, position + data.length));
        longer.set(bytes);
        longer.set(data, position);
        bytes = longer;
      },
      close: () => void (found.content = bytes),
      abort: (reason) => void (found.aborted = reason),
    });
    const locked = async (work) => {
      const writer = stream.getWriter();
      try {
        return await work(writer);
      } finally {
        writer.releaseLock();
      }
    };
    return Object.assign(stream, {
      seek: async () => undefined,
      truncate: async (size) => void (bytes = new Uint8Array(size)),
      write: (command) => locked((writer) => writer.write(command)),
    });
  };
  const getFile = async () => new File([found.content], "x.onnx");
  return { handle: { kind: "file", name: "x.onnx", getFile, createWritable }, found };
}
