/** The parts of Node.js' own objects that are used, for users whose compiler knows nothing of Node.js. */

/** The result of a read of a {@link NodeFileHandle}. */
export interface NodeReadResult {
  /** The number of bytes that were read. */
  bytesRead: number;
}

/** The description of a file by a {@link NodeFileHandle}. */
export interface NodeStats {
  /** The size in bytes. */
  size: number;
  /** Tells whether it is a regular file. */
  isFile(): boolean;
}

/** The result of `fs.promises.open`: a file that is open for reading. */
export interface NodeFileHandle {
  /** The number of the file in the process. */
  readonly fd: number;
  /** Reads up to `length` bytes at `position` into `buffer` at `offset`. */
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<NodeReadResult>;
  /** Describes the file. */
  stat(): Promise<NodeStats>;
}

/** The result of `fs.createWriteStream`, a socket, or another stream.Writable. */
export interface NodeWritable {
  /** Takes bytes; false asks to wait for "drain". */
  write(chunk: Uint8Array, callback?: (error?: Error | null) => void): boolean;
  /** Ends the stream when all bytes are written. */
  end(callback?: () => void): unknown;
  /** Drops the stream. */
  destroy(error?: Error): unknown;
  /** Adds a listener. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Removes a listener. */
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}
