/** A run that cannot give figures: something is missing, did not start, or answered wrongly. */
export class BenchError extends Error {
  override readonly name = "BenchError";
}

/** Says that a program is not installed, and what installs it. */
export function missingProgram(name: string): BenchError {
  return new BenchError(`${name} is not installed; run test/tools/install.sh bench`);
}
