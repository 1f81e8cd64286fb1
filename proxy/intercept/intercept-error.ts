/** Why interception cannot be set up; the codes stand in the command's table of failures too. */
export type InterceptCode =
  | "intercept-privilege"
  | "intercept-no-iptables"
  | "intercept-conflict"
  | "intercept-failed";

/**
 * A failure with what to do about it. Nothing was changed when it is thrown, but for what its message
 * says.
 */
export class InterceptError extends Error {
  override readonly name = "InterceptError";
  readonly code: InterceptCode;
  readonly fix: string;

  constructor(code: InterceptCode, message: string, fix: string) {
    super(message);
    this.code = code;
    this.fix = fix;
  }
}
