/**
 * Who may import whom, and what files on the request path have to say first.
 *
 * A room is a folder with one job, or a file that stands for itself. Every way to name another file
 * counts: static and dynamic imports, types, re-exports, `new URL`.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { ROOT, readText, repositoryFiles } from "./repository.ts";

/**
 * THE TABLE: room -> rooms that it may import besides itself; `x/*` is every room in x.
 *
 * Test files (`*.test.ts`, `*.cases.ts`, `*.fake.ts`) may import `test/` too, and all of the process
 * that they are in with what it may: proxy's tests never control, control's only proxy/routing. Tests
 * of the command may import all, since it starts all.
 */
const MAY_IMPORT: Readonly<Record<string, string>> = {
  core: "",
  "proxy/fault": "",
  "proxy/limits": "",
  "proxy/routing": "core proxy/fault proxy/limits",
  "proxy/message": "core proxy/fault proxy/limits",
  "proxy/http1": "core proxy/fault proxy/limits proxy/message",
  "proxy/tunnel": "core proxy/fault proxy/limits proxy/message",
  "proxy/upstream": "core proxy/fault proxy/limits proxy/message proxy/http1 proxy/routing",
  // Never http1: an exchange is the same in every protocol.
  "proxy/exchange":
    "core proxy/fault proxy/limits proxy/message proxy/routing proxy/upstream proxy/tunnel",
  "proxy/downstream": "core proxy/fault proxy/limits proxy/message proxy/http1 proxy/exchange",
  "proxy/listener":
    "core proxy/fault proxy/limits proxy/message proxy/downstream proxy/exchange proxy/tunnel proxy/routing",
  // Rules for the kernel: used by the command, never by the proxy, which has no right to write them.
  "proxy/intercept": "core",
  // Cold rooms are told their settings as they stand in the configuration; the others get limits only.
  "proxy/config": "core proxy/fault proxy/limits proxy/routing",
  "proxy/watch": "core proxy/fault proxy/limits proxy/config proxy/routing",
  "proxy/admin": "core proxy/fault proxy/limits proxy/config proxy/routing",
  "proxy/telemetry":
    "core proxy/fault proxy/limits proxy/config proxy/message proxy/routing proxy/exchange",
  // Beside what it supervises: a worker is started by its path, and told by messages.
  "proxy/supervisor":
    "core proxy/config proxy/limits proxy/routing proxy/watch proxy/admin proxy/telemetry",
  proxy: "core proxy/*",
  "proxy/main": "core proxy proxy/*",
  // In the process of the command it reads the settings, and loads nothing of the proxy.
  "proxy/own-process": "core proxy/config proxy/main",
  "control/model": "core",
  "control/compile": "core control/model proxy/routing",
  "control/schema": "core control/model",
  "control/store": "core control/model",
  "control/evidence": "core control/model control/schema control/store",
  "control/watch": "core control/model control/store control/compile proxy/routing",
  "control/error": "control/schema",
  "control/routes":
    "core control/error control/model control/schema control/store control/watch control/evidence proxy/routing verify/judge",
  "control/client": "core control/model control/schema",
  control: "core control/* proxy/routing verify/judge",
  "control/main": "core control control/*",
  // Pure, and used by control too: a verdict is made where the records are.
  "verify/judge": "core",
  verify: "core control/client verify/judge",
  // The command starts the two processes by their main functions; otherwise it is their client.
  cli: "core control/client verify proxy/main proxy/own-process proxy/intercept control/main",
};

/** These choose, they do not act: no `node:` import, neither their own nor one that they reach. */
const PURE = ["proxy/routing", "control/model", "control/compile", "verify/judge"];

/** The same, of rooms whose other files act. */
const PURE_FILES = ["proxy/intercept/rules.ts", "proxy/intercept/foreign-rules.ts"];

/** What a request meets. */
const REQUEST_PATH =
  /^proxy\/(?:listener|downstream|message|http1|exchange|routing|upstream|tunnel)\//;

const SOURCES = repositoryFiles().filter((path) =>
  /^(?:core|proxy|control|verify|cli)\/.*\.ts$/.test(path),
);

test("no file imports a room that the table does not open to it", () => {
  expect(SOURCES.flatMap((path) => wrongImports(path, readText(path)))).toEqual([]);
});

test("an import that the table does not allow is found, however it is written", () => {
  const found = (path: string, text: string) => wrongImports(path, text).length;
  expect(found("proxy/exchange/x.ts", 'import { a } from "../http1/a.ts";')).toBe(1);
  expect(found("proxy/exchange/x.ts", 'import type {\n  A,\n} from "../http1/a.ts";')).toBe(1);
  expect(found("proxy/proxy.ts", 'await import("../control/main.ts")')).toBe(1);
  expect(found("proxy/proxy.ts", 'new URL("../control/main.ts", import.meta.url)')).toBe(1);
  expect(found("proxy/watch/x.test.ts", 'export { a } from "../../control/a.ts";')).toBe(1);
  expect(found("core/x.ts", 'import "../proxy/fault.ts";')).toBe(1);
  expect(found("control/x.ts", 'import "../test/harness/a.ts";')).toBe(1);
  expect(found("control/x.ts", 'import "./store/sqlite.test.ts";')).toBe(1);
  expect(found("proxy/newcomer/x.ts", "")).toBe(1);
  expect(found("proxy/proxy.ts", 'import "./http1/a.ts"; import "../core/a.ts";')).toBe(0);
  expect(found("proxy/watch/x.test.ts", 'import "../http1/a.ts"; import "../../test/a.ts";')).toBe(
    0,
  );
});

test("the rooms that only choose reach no module of Node's", () => {
  const pure = SOURCES.filter(
    (path) => !isTest(path) && (PURE.includes(roomOf(path) ?? "") || PURE_FILES.includes(path)),
  );
  expect(pure.flatMap((path) => nodeImports(path))).toEqual([]);
  expect(nodeImports("core/networks.ts")).not.toEqual([]);
});

test("only files named config.ts read the environment", () => {
  const readers = SOURCES.filter((path) => !isTest(path) && !path.endsWith("/config.ts")).filter(
    (path) => /\bprocess\.env\b|\benv\b[^;]*from "node:process"/.test(readText(path)),
  );
  expect(readers).toEqual([]);
});

test("a file on the request path says first what it does, and what stands before and after it", () => {
  const path = SOURCES.filter((source) => REQUEST_PATH.test(source) && !isTest(source));
  expect(path.length).toBeGreaterThan(0);
  expect(path.flatMap((source) => wrongHeader(source, readText(source)))).toEqual([]);
  expect(wrongHeader("proxy/x.ts", 'import { a } from "./a.ts";\n\nconst x = 1;')).toHaveLength(1);
  expect(wrongHeader("proxy/x.ts", "/**\n * Does.\n *\n * Before: gone.ts.\n */")).toHaveLength(1);
});

function wrongImports(path: string, text: string): string[] {
  const room = roomOf(path);
  if (room === null) return [`${path}: its folder has no row in the table`];
  const wrong = importsOf(path, text).filter((target) => !mayImport(path, room, target));
  return wrong.map((target) => `${path} must not import ${target}`);
}

function mayImport(path: string, room: string, target: string): boolean {
  if (isTest(target) && !isTest(path)) return false;
  const open = isTest(path) ? openToTests(path) : [room, ...rowOf(room)];
  const to = target.startsWith("test/") ? "test" : roomOf(target);
  return to !== null && (open.includes(to) || open.includes(`${to.split("/")[0]}/*`));
}

function openToTests(path: string): string[] {
  const part = path.split("/")[0] ?? "";
  const parts = part === "cli" ? ["cli", "control", "proxy"] : [part];
  return ["test", ...parts.flatMap((each) => [each, `${each}/*`, ...rowOf(each)])];
}

function rowOf(room: string): string[] {
  return (MAY_IMPORT[room] ?? "").split(" ");
}

/** The longest row that the path lies in; a folder of a process with rooms needs a row of its own. */
function roomOf(path: string): string | null {
  const [part = "", name = "", ...below] = path.replace(/\.ts$/, "").split("/");
  if (`${part}/${name}` in MAY_IMPORT) return `${part}/${name}`;
  const hasRooms = Object.keys(MAY_IMPORT).some((room) => room.startsWith(`${part}/`));
  return part in MAY_IMPORT && (below.length === 0 || !hasRooms) ? part : null;
}

/** Files of ours that the text names, as paths from the checkout. */
function importsOf(path: string, text: string): string[] {
  const names = /(?:\bfrom|\bimport|\bimport\(|\bnew URL\()\s*"(\.\.?\/[^"]+\.ts)"/g;
  const paths = [...text.matchAll(names)].map((found) => join(dirname(path), found[1] ?? ""));
  return [...new Set(paths)];
}

/** How `path` comes to a module of Node's; types are gone at run time and do not count. */
function nodeImports(path: string, seen = new Set<string>()): string[] {
  if (seen.has(path)) return [];
  seen.add(path);
  const text = readText(path).replace(/\b(?:import|export) type [^;]*;/g, "");
  const own = [...text.matchAll(/"(node:[^"]+)"/g)].map((found) => `${path} imports ${found[1]}`);
  return [...own, ...importsOf(path, text).flatMap((target) => nodeImports(target, seen))];
}

/** The header stands on top, or right below the imports as the comment of what the file is for. */
function wrongHeader(path: string, text: string): string[] {
  const header = /^(?:import\b[^;]*;\s*)*\/\*\*(.*?)\*\//s.exec(text)?.[1];
  if (header === undefined) return [`${path} does not open with a comment that says what it does`];
  const steps = /^ \* (?:Before|After): .*(?:\n \* \S.*)*/gm;
  const files = [...header.matchAll(steps)].flatMap(([text]) => text.match(/[\w/-]+\.ts\b/g) ?? []);
  const isThere = (file: string) => ["proxy", "."].some((at) => existsSync(join(ROOT, at, file)));
  const missing = files.filter((file) => !isThere(file));
  return missing.map((file) => `${path} names ${file}, which does not exist`);
}

function isTest(path: string): boolean {
  return /\.(?:test|cases|fake)\.ts$/.test(path);
}
