import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BenchError } from "../../bench-error.ts";

const run = promisify(execFile);
const CHECKOUT = fileURLToPath(new URL("../../../", import.meta.url));

/** A build takes seconds; on a busy machine many of them. */
const BUILD_DEADLINE_MS = 180_000;

/**
 * Answers the script of the command `forklane` as it is shipped, in JavaScript.
 *
 * `folder` is a `dist/`, or a checkout that has one; null builds that of this checkout.
 */
export async function forklaneCommand(folder: string | null): Promise<string> {
  if (folder === null) {
    await run(process.execPath, [join(CHECKOUT, "build.ts")], { timeout: BUILD_DEADLINE_MS });
    return join(CHECKOUT, "dist", "cli", "main.js");
  }
  for (const below of ["", "dist"]) {
    const script = join(resolve(folder), below, "cli", "main.js");
    if (await isThere(script)) return script;
  }
  throw new BenchError(`${folder} holds no build of Forklane; run npm run build there`);
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
