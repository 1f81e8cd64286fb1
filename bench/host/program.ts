import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { missingProgram } from "../bench-error.ts";

const run = promisify(execFile);

/** Where distributions put programs that an ordinary user's PATH does not list. */
const FURTHER_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/** Finds a program, in `first` before the PATH; fails with the command that installs it. */
export async function findProgram(name: string, first: readonly string[] = []): Promise<string> {
  const onPath = (process.env["PATH"] ?? "").split(delimiter);
  const folders = [...first, ...onPath, ...FURTHER_FOLDERS];
  for (const folder of folders) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder !== "" && found) return path;
  }
  throw missingProgram(name);
}

/** Runs `program flag` and answers the first thing in its output that looks like a version. */
export async function programVersion(program: string, flag: string): Promise<string> {
  const { stdout, stderr } = await run(program, [flag], { timeout: 5_000 }).catch(
    (failed: { stdout?: string; stderr?: string }) => ({
      stdout: failed.stdout ?? "",
      stderr: failed.stderr ?? "",
    }),
  );
  return findVersion(`${stdout}\n${stderr}`);
}

/** Picks `1.22.1` out of what a program says about itself; `unknown` if there is none. */
export function findVersion(text: string): string {
  return /\d+\.\d+(?:\.\d+)?/.exec(text)?.[0] ?? "unknown";
}
