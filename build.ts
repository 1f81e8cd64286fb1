/**
 * Makes dist/, what the package and the image hold: JavaScript, since Node runs no TypeScript
 * inside node_modules. Whatever an earlier build left is removed first.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const ROOT = import.meta.dirname;
const DIST = join(ROOT, "dist");
const ENTRY = join(DIST, "cli", "main.js");

build();

function build(): void {
  rmSync(DIST, { recursive: true, force: true });
  emit();
  refuseTypeScriptPaths();
  makeExecutable(ENTRY);
}

function emit(): void {
  const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
  const compiler = join(typescript, "bin", "tsc");
  const project = join(ROOT, "tsconfig.build.json");
  const { status } = spawnSync(process.execPath, [compiler, "--project", project], {
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("the compiler refused the sources, there is no dist/");
}

/**
 * The compiler rewrites `.ts` in imports only; a path to a module in any other string, such as
 * that of a process to start, would name a file that dist/ does not have.
 */
function refuseTypeScriptPaths(): void {
  for (const file of readdirSync(DIST, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".js")) continue;
    const path = /["'`](?:\.[\w./-]*|[\w/-]+)\.ts["'`]/.exec(
      readFileSync(join(DIST, file), "utf8"),
    );
    if (path === null) continue;
    throw new Error(
      `dist/${file} names ${path[0]}, which is not built; take the ending from import.meta.filename`,
    );
  }
}

function makeExecutable(entry: string): void {
  if (!readFileSync(entry, "utf8").startsWith("#!/usr/bin/env node\n")) {
    throw new Error(`${entry} does not open with a shebang, so npm could not run it`);
  }
  chmodSync(entry, 0o755);
}
