import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The checkout's folder. */
export const ROOT = join(import.meta.dirname, "..");

/** All files of the checkout, tracked or new, without those that git ignores; paths from ROOT. */
export function repositoryFiles(): string[] {
  const list = execFileSync(
    "git",
    ["ls-files", "-z", "-co", "--exclude-standard", "--deduplicate"],
    {
      cwd: ROOT,
      encoding: "utf8",
    },
  );
  const deleted = execFileSync("git", ["ls-files", "-z", "--deleted"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  const gone = new Set(deleted.split("\0"));
  return list.split("\0").filter((path) => path !== "" && !gone.has(path));
}

/** The text of a file of the checkout. */
export function readText(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}
