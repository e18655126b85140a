/** Errors as the command shows them. */
import { ModelShrinkError, type ErrorCode } from "../base/errors.js";
import { oneLine, visible } from "../base/visible.js";
import { UsageError } from "./usage-error.js";

/** An error in JSON output. */
export interface Failure {
  code: ErrorCode | "usage" | "interrupted";
  message: string;
  tensor?: string;
  /** The place in the model's file, in bytes. */
  offset?: number;
}

/** Whatever was thrown, as plain data. */
export function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) return { code: "usage", message: error.message };
  if (!(error instanceof ModelShrinkError)) return { code: "internal", message: String(error) };
  const { code, message, tensor, offset } = error;
  return {
    code,
    message,
    ...(tensor === undefined ? {} : { tensor }),
    ...(offset === undefined ? {} : { offset }),
  };
}

/** The message in one line that is safe to show. */
export const messageOf = (error: unknown): string => visible(oneLine(failureOf(error).message));
