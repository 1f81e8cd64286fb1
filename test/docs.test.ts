/** What the documents say of the code, held against the code. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { CLI_FAILURES } from "../cli/cli-error.ts";
import * as controlError from "../control/error.ts";
import { FAULTS } from "../proxy/fault.ts";
import { DEFAULT_LIMITS } from "../proxy/limits.ts";
import { ROOT, readText, repositoryFiles } from "./repository.ts";

const FILES = repositoryFiles();
const MARKDOWN = FILES.filter((path) => path.endsWith(".md"));

/** How many lines of README.md one sees first. */
const FIRST_SCREEN_LINES = 40;
const ARCHITECTURE_LINES_MAX = 200;

test("the proxy's README has the faults as they are, and no other ones", () => {
  const told = [...tableRows("proxy/README.md")]
    .filter(([, cells]) => cells.length === FAULT_CELLS)
    .map(([code, cells]) => [code, cells.map((cell) => cell.replaceAll("`", ""))]);
  const faults = Object.entries(FAULTS).map(([code, { source, status, retry, meaning }]) => [
    code,
    [source, status === 0 ? "-" : String(status), retry, meaning],
  ]);
  expect(Object.fromEntries(told)).toEqual(Object.fromEntries(faults));
});

/** Source, status, retried and meaning. */
const FAULT_CELLS = 4;

test("the proxy's README has a row for each limit, with its default", () => {
  const rows = tableRows("proxy/README.md");
  for (const [name, value] of Object.entries(DEFAULT_LIMITS)) {
    const cell = limitText(name, value);
    expect(rows.get(name), `row of ${name} with default ${cell}`).toContain(cell);
  }
});

test("control's README has a row for each error of its API, with its status", () => {
  const rows = tableRows("control/README.md");
  const errors = errorTable(controlError);
  expect(errors.size).toBeGreaterThan(0);
  for (const [code, status] of errors) {
    expect(rows.get(code), `row of ${code} with status ${status}`).toContain(String(status));
  }
});

test("the command's README has a row for each of its failures, with its exit code", () => {
  const rows = tableRows("cli/README.md");
  for (const [code, { exit }] of Object.entries(CLI_FAILURES)) {
    expect(rows.get(code), `row of ${code} with exit ${exit}`).toContain(String(exit));
  }
});

test("CONTRIBUTING says what each npm script is for", () => {
  const text = readText("CONTRIBUTING.md");
  const { scripts } = JSON.parse(readText("package.json"));
  for (const name of Object.keys(scripts)) {
    const command = ["start", "test"].includes(name) ? `npm ${name}` : `npm run ${name}`;
    expect(text).toMatch(new RegExp(`${command}(?![\\w:-])`));
  }
});

test("every relative link leads to a file, and to a heading where it names one", () => {
  const broken = MARKDOWN.flatMap((path) =>
    linksOf(readText(path))
      .filter((link) => !leadsSomewhere(path, link))
      .map((link) => `${path}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test("every folder of the checkout has a README", () => {
  const folders = new Set(FILES.filter((path) => /^\w[^/]*\//.test(path)).map(topFolder));
  expect([...folders].filter((folder) => !FILES.includes(`${folder}/README.md`))).toEqual([]);
});

test("the README begins with the two commands that matter", () => {
  const firstScreen = readText("README.md").split("\n").slice(0, FIRST_SCREEN_LINES).join("\n");
  expect(firstScreen).toMatch(/^npm ci && npm start\b/m);
  expect(firstScreen).toMatch(/^npm ci && npm test\b/m);
});

test("ARCHITECTURE can be read in one sitting", () => {
  expect(readText("ARCHITECTURE.md").trimEnd().split("\n").length).toBeLessThanOrEqual(
    ARCHITECTURE_LINES_MAX,
  );
});

test("no file names a path of somebody's machine, or the host of a package registry", () => {
  const found = FILES.flatMap((path) => foreignNames(path, readText(path)));
  expect(found).toEqual([]);
  // Put together here, since this file is looked at like any other.
  expect(foreignNames("x", `cd ${["", "home", "jane", "x"].join("/")}`)).toHaveLength(1);
  expect(foreignNames("x", `https://${["registry", "npmjs", "org"].join(".")}/x`)).toHaveLength(1);
  expect(foreignNames("x", "GET /homepage, work/x, https://example.com/home/x")).toEqual([]);
});

/** The rows of a Markdown file's tables whose first cell is a name in backticks: name -> other cells. */
function tableRows(path: string): ReadonlyMap<string, readonly string[]> {
  const rows = new Map<string, readonly string[]>();
  for (const line of readText(path).split("\n")) {
    const name = /^\| *`([\w-]+)` *\|/.exec(line)?.[1];
    if (name !== undefined)
      rows.set(
        name,
        line
          .split("|")
          .slice(2, -1)
          .map((cell) => cell.trim()),
      );
  }
  return rows;
}

/** How a default reads: `60 KiB`, `5 min`, `300 ms`, `10,000`, `none`. */
function limitText(name: string, value: number): string {
  if (value === 0) return "none";
  if (name.endsWith("Ms"))
    return inUnit(value, [
      [60_000, "min"],
      [1_000, "s"],
      [1, "ms"],
    ]);
  if (/Bytes/.test(name))
    return inUnit(value, [
      [1_048_576, "MiB"],
      [1_024, "KiB"],
      [1, "bytes"],
    ]);
  return value.toLocaleString("en");
}

/** `value` in the largest unit that leaves no fraction; units come from large to small. */
function inUnit(value: number, units: readonly (readonly [number, string])[]): string {
  const [size, unit] = units.find(([size]) => value % size === 0) ?? [1, ""];
  return `${value / size} ${unit}`;
}

/** Code and status of each error in the table that a module exports. */
function errorTable(module: Readonly<Record<string, unknown>>): ReadonlyMap<string, number> {
  const tables = Object.values(module).filter(
    (value) => typeof value === "object" && value !== null,
  );
  const rows = tables.flatMap((table) => Object.entries(table as Record<string, unknown>));
  return new Map(rows.flatMap(([code, row]) => (hasStatus(row) ? [[code, row.status]] : [])));
}

function hasStatus(row: unknown): row is { readonly status: number } {
  return typeof (row as { status?: unknown } | null)?.status === "number";
}

/** Targets of Markdown links that are no URLs; code blocks and code spans hold none. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^ *(```|~~~).*?^ *\1/gms, "").replace(/`[^`\n]*`/g, "");
  const links = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)|^ *\[[^\]]+\]:\s*(\S+)/gm)];
  return links.map(([, inline, reference]) => inline ?? reference ?? "").filter(isRelative);
}

function isRelative(link: string): boolean {
  return !/^[a-z][a-z0-9+.-]*:/i.test(link);
}

function leadsSomewhere(from: string, link: string): boolean {
  const [path = "", heading] = link.split("#");
  const target = path === "" ? from : join(dirname(from), decodeURI(path));
  if (!existsSync(join(ROOT, target))) return false;
  return heading === undefined || !target.endsWith(".md") || anchorsOf(target).includes(heading);
}

/** The anchors of a Markdown file's headings, as GitHub makes them. */
function anchorsOf(path: string): string[] {
  const headings = readText(path).matchAll(/^#{1,6} +(.+)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}

function topFolder(path: string): string {
  return path.slice(0, path.indexOf("/"));
}

const MACHINE_PATH = new RegExp(
  `(?<![\\w.~-])/(?:${["work", "root", "home", "Users"].join("|")})/\\w`,
);
const REGISTRIES = [
  ["registry", "npmjs", "org"],
  ["registry", "yarnpkg", "com"],
  ["pypi", "org"],
  ["files", "pythonhosted", "org"],
  ["proxy", "golang", "org"],
  ["sum", "golang", "org"],
  ["crates", "io"],
  ["repo", "maven", "apache", "org"],
  ["deb", "debian", "org"],
].map((labels) => labels.join("."));

function foreignNames(path: string, text: string): string[] {
  const paths = MACHINE_PATH.exec(text)?.[0] ?? null;
  const hosts = REGISTRIES.filter((host) => text.includes(host));
  return [...(paths === null ? [] : [paths]), ...hosts].map((name) => `${path}: ${name}`);
}
