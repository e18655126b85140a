/** The JavaScript side of src/base/errors.def: one class for each kind of failure. */

export type ErrorCode =
  | "format"
  | "unsupported"
  | "argument"
  | "out-of-memory"
  | "integrity"
  /** Reading or writing failed; `cause` is the platform's error. */
  | "io"
  /** A fault of modelshrink itself, or a call before `init()`. */
  | "internal";

export interface ErrorDetails {
  tensor?: string | undefined;
  offset?: number | undefined;
  cause?: unknown;
}

/** The base of every error that modelshrink throws. Aborts are the platform's `AbortError`. */
export class ModelShrinkError extends Error {
  readonly code: ErrorCode;
  /** The tensor that the error is about, when there is one. */
  readonly tensor: string | undefined;
  /** Where in the input file, in bytes, when that is known. */
  readonly offset: number | undefined;

  constructor(message: string, code: ErrorCode, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    // A literal, because minifiers rename classes.
    this.name = "ModelShrinkError";
    this.code = code;
    this.tensor = details.tensor;
    this.offset = details.offset;
  }
}

/** The file breaks a rule of its format. */
export class FormatError extends ModelShrinkError {
  constructor(message: string, details?: ErrorDetails) {
    super(message, "format", details);
    this.name = "FormatError";
  }
}

/** Valid, but not something modelshrink handles. */
export class UnsupportedError extends ModelShrinkError {
  constructor(message: string, details?: ErrorDetails) {
    super(message, "unsupported", details);
    this.name = "UnsupportedError";
  }
}

/** An option or an argument has a wrong value. */
export class ArgumentError extends ModelShrinkError {
  constructor(message: string, details?: ErrorDetails) {
    super(message, "argument", details);
    this.name = "ArgumentError";
  }
}

/** An allocation failed. */
export class OutOfMemoryError extends ModelShrinkError {
  constructor(message: string, details?: ErrorDetails) {
    super(message, "out-of-memory", details);
    this.name = "OutOfMemoryError";
  }
}

/** Bytes differ from what was promised. */
export class IntegrityError extends ModelShrinkError {
  constructor(message: string, details?: ErrorDetails) {
    super(message, "integrity", details);
    this.name = "IntegrityError";
  }
}

/** The error of a code, for errors that come from the core or from another thread. */
export function errorOf(
  plain: { message: string; code: ErrorCode } & ErrorDetails,
): ModelShrinkError {
  const { message, code, ...details } = plain;
  switch (code) {
    case "format":
      return new FormatError(message, details);
    case "unsupported":
      return new UnsupportedError(message, details);
    case "argument":
      return new ArgumentError(message, details);
    case "out-of-memory":
      return new OutOfMemoryError(message, details);
    case "integrity":
      return new IntegrityError(message, details);
    default:
      return new ModelShrinkError(message, code, details);
  }
}

/** The same error, with the name of the file that it is about, unless it says that itself. */
export function aboutFile(name: string, error: unknown): unknown {
  const isAboutContent = error instanceof FormatError || error instanceof UnsupportedError;
  if (!isAboutContent || error.message.includes(`"${name}"`)) return error;
  const { code, tensor, offset, cause } = error;
  return errorOf({ message: `"${name}": ${error.message}`, code, tensor, offset, cause });
}
