/** The JavaScript side of src/base/errors.def: one class for each kind of failure. */
import { visible } from "./visible.js";

/**
 * The kinds of failure. All but two have a class of their own: "io" says that reading or writing failed (`cause` is
 * the platform's error); "internal" is a fault of modelshrink itself, or a call before `init()`.
 */
export type ErrorCode =
  "format" | "unsupported" | "argument" | "out-of-memory" | "integrity" | "io" | "internal";

/** The facts of an error beside its message. */
export interface ErrorDetails {
  /** The name of the tensor that the error is about. */
  tensor?: string | undefined;
  /** The place in the input file, in bytes. */
  offset?: number | undefined;
  /** The error that led to this one. */
  cause?: unknown;
}

/** Gives a text with addresses that have no user names and passwords in them. */
export const withoutPasswords = (text: string): string => text.replace(/\/\/[^\s/?#"]*@/g, "//");

/** The base of every error that modelshrink throws. Aborts are the platform's `AbortError`. */
export class ModelShrinkError extends Error {
  /** The kind of failure. */
  readonly code: ErrorCode;
  /** The tensor that the error is about, when there is one. */
  readonly tensor: string | undefined;
  /** The place in the input file, in bytes, when it is known. */
  readonly offset: number | undefined;

  /**
   * Makes an error; the kinds that have a class of their own are made by that. The message may have names of any
   * file or address in it: what must not be shown of them is taken out or escaped.
   */
  constructor(message: string, code: ErrorCode, details: ErrorDetails = {}) {
    super(
      visible(withoutPasswords(message)),
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    // A literal, because minifiers rename classes.
    this.name = "ModelShrinkError";
    this.code = code;
    this.tensor = details.tensor;
    this.offset = details.offset;
  }

  /** Gives what `JSON.stringify` keeps: the name, message and code, and the tensor and offset where there are any. */
  toJSON(): Record<string, string | number | undefined> {
    const { name, message, code, tensor, offset } = this;
    return { name, message, code, tensor, offset };
  }
}

/** Makes the error of a server's refusal; `what` is the address. */
export const statusError = (what: string, { status }: { status: number }): ModelShrinkError =>
  new ModelShrinkError(`${what} gave HTTP status ${status}.`, "io");

/** Says that a file breaks a rule of its format. */
export class FormatError extends ModelShrinkError {
  /** Makes an error with this message, and with the tensor, offset and cause where they are known. */
  constructor(message: string, details?: ErrorDetails) {
    super(message, "format", details);
    this.name = "FormatError";
  }
}

/** Says that a model is valid, but nothing that modelshrink handles. */
export class UnsupportedError extends ModelShrinkError {
  /** Makes an error with this message, and with the tensor, offset and cause where they are known. */
  constructor(message: string, details?: ErrorDetails) {
    super(message, "unsupported", details);
    this.name = "UnsupportedError";
  }
}

/** Says that an option or an argument has a wrong value. */
export class ArgumentError extends ModelShrinkError {
  /** Makes an error with this message, and with the tensor, offset and cause where they are known. */
  constructor(message: string, details?: ErrorDetails) {
    super(message, "argument", details);
    this.name = "ArgumentError";
  }
}

/** Says that an allocation failed. */
export class OutOfMemoryError extends ModelShrinkError {
  /** Makes an error with this message, and with the tensor, offset and cause where they are known. */
  constructor(message: string, details?: ErrorDetails) {
    super(message, "out-of-memory", details);
    this.name = "OutOfMemoryError";
  }
}

/** Says that bytes differ from what was promised: a source shorter than its size, an output unlike its plan. */
export class IntegrityError extends ModelShrinkError {
  /** Makes an error with this message, and with the tensor, offset and cause where they are known. */
  constructor(message: string, details?: ErrorDetails) {
    super(message, "integrity", details);
    this.name = "IntegrityError";
  }
}

/** Makes the error of a code, for errors that come from the core or from another thread. */
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

/** Gives the same error with the name of the file whose content it is about, unless the message names it already. */
export function aboutFile(name: string, error: unknown): unknown {
  const isAboutContent =
    error instanceof FormatError ||
    error instanceof UnsupportedError ||
    error instanceof IntegrityError;
  if (!isAboutContent || error.message.includes(`"${visible(name)}"`)) return error;
  const { code, tensor, offset, cause } = error;
  return errorOf({ message: `"${name}": ${error.message}`, code, tensor, offset, cause });
}
