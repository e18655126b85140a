/**
 * The platform's own types, for users whose compiler has them: from the DOM library, `@types/node` or another
 * declaration. Without any they are interfaces of what modelshrink uses. Public declarations name the types of this
 * file only, so that they compile with `lib: ["ES2022"]` and `types: []`.
 */

/** The instances of the global class `Name` where it is declared, else `Fallback`. */
type Platform<Name extends string, Fallback> =
  typeof globalThis extends Record<Name, { prototype: infer T }> ? T : Fallback;

interface BlobMembers {
  readonly size: number;
  readonly type: string;
  arrayBuffer(): Promise<ArrayBuffer>;
  slice(start?: number, end?: number, type?: string): BlobMembers;
  text(): Promise<string>;
}

/** Bytes of known size that are read in slices; a File is one with a name. */
export type Blob = Platform<"Blob", BlobMembers>;

/** An address, as `new URL()` makes it. */
export type URL = Platform<"URL", { readonly href: string; readonly protocol: string }>;

/** The result of `fetch`. */
export type Response = Platform<
  "Response",
  { readonly ok: boolean; readonly status: number; arrayBuffer(): Promise<ArrayBuffer> }
>;

/** The argument of `fetch`. */
export type Request = Platform<"Request", { readonly method: string; readonly url: string }>;

/** Bytes that come one after the other. */
export type ReadableStream = Platform<
  "ReadableStream",
  { readonly locked: boolean; getReader(): unknown }
>;

/** A taker of bytes, one after the other. */
export type WritableStream = Platform<
  "WritableStream",
  { readonly locked: boolean; getWriter(): unknown }
>;

/** Tells that the caller no longer wants a result. */
export type AbortSignal = Platform<
  "AbortSignal",
  { readonly aborted: boolean; readonly reason: unknown; throwIfAborted(): void }
>;

/** A file that a page was allowed to use, or one of its private file system. */
export type FileSystemFileHandle = Platform<
  "FileSystemFileHandle",
  { readonly kind: "file"; readonly name: string; getFile(): Promise<Blob> }
>;

/** A folder that a page was allowed to use, or one of its private file system. */
export type FileSystemDirectoryHandle = Platform<
  "FileSystemDirectoryHandle",
  {
    readonly kind: "directory";
    readonly name: string;
    getFileHandle(name: string): Promise<FileSystemFileHandle>;
  }
>;

/** The result of `createWritable()` of a FileSystemFileHandle. */
export type FileSystemWritableFileStream = Platform<
  "FileSystemWritableFileStream",
  { seek(position: number): Promise<void>; truncate(size: number): Promise<void> }
>;

/** An array of float16 numbers, in engines that have one; elsewhere another array of numbers stands for it. */
export type Float16Array = Platform<"Float16Array", Float32Array>;

/** A compiled WebAssembly binary. */
export type WebAssemblyModule = typeof globalThis extends {
  WebAssembly: { Module: { prototype: infer T } };
}
  ? T
  : object;

declare global {
  interface SymbolConstructor {
    /** Names the method that `using` calls; newer libraries declare it in the same way. */
    readonly dispose: unique symbol;
  }
}
