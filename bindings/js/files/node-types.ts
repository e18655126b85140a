/** What is used of Node.js' own objects, for users whose compiler knows nothing of Node.js. */

/** What `fs.promises.open` gives: a file that is open for reading. */
export interface NodeFileHandle {
  readonly fd: number;
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }>;
  stat(): Promise<{ size: number; isFile(): boolean }>;
}

/** What `fs.createWriteStream` gives, a socket, or another stream.Writable. */
export interface NodeWritable {
  write(chunk: Uint8Array, callback?: (error?: Error | null) => void): boolean;
  end(callback?: () => void): unknown;
  destroy(error?: Error): unknown;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}
