/** What can be wrong with data, as sentences. A kind is the verdict that Python and this decoder share. */

export type Verdict = "corrupt" | "unsupported" | "inexact" | "model" | "model-missing";

/** Something is wrong with a file or a model; `message` says what, in one sentence. */
export class IntactError extends Error {
  override readonly name = "IntactError";

  constructor(
    /** Which kind of error: damaged data, a feature this version lacks, ... */
    readonly verdict: Verdict,
    message: string,
    /** The id of the model that is wanted, 32 hexadecimal digits, where `verdict` is "model-missing". */
    readonly modelId?: string,
  ) {
    super(message.length > 1000 ? `${message.slice(0, 497)} ... ${message.slice(-497)}` : message);
  }
}

/** The bytes are not something an Intact encoder wrote. */
export const corrupt = (message: string) => new IntactError("corrupt", message);
/** The data may be fine, but this version cannot handle it. */
export const unsupported = (message: string) => new IntactError("unsupported", message);
/** A model breaks a rule of the specification. */
export const badModel = (message: string) => new IntactError("model", message);

/** What others wrote, for use in a message: quoted, in one line, cut. */
export function quoted(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
