import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Children } from "./children.ts";

let folder = "";
let children: Children;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "forklane-children-"));
});

afterEach(() => children.stop());

afterAll(() => rm(folder, { recursive: true }));

test("a child that ends by itself is reported with its last words", async () => {
  children = new Children();
  children.start(
    "cart",
    await script("process.stderr.write('no such port\\n'); process.exitCode = 7"),
    [],
  );
  await expect(children.death).rejects.toMatchObject({
    problem: { code: "child-died", detail: "cart ended with code 7: no such port" },
  });
});

test("only the last lines of a child that says much are kept", async () => {
  children = new Children();
  const source = "for (let i = 1; i <= 100; i++) console.error('line', i); process.exitCode = 1";
  children.start("cart", await script(source), []);
  const detail = "cart ended with code 1: line 96 | line 97 | line 98 | line 99 | line 100";
  await expect(children.death).rejects.toMatchObject({ problem: { detail } });
});

test("of a long line of a child the first 400 characters are kept", async () => {
  children = new Children();
  const source = "console.error('x'.repeat(401)); process.exitCode = 1";
  children.start("cart", await script(source), []);
  const detail = `cart ended with code 1: ${"x".repeat(400)}`;
  await expect(children.death).rejects.toMatchObject({ problem: { detail } });
});

test("a child that is told to stop is not reported", async () => {
  children = new Children();
  children.start("cart", await script("setInterval(() => {}, 1000)"), []);
  await children.stop();
  expect(children.pids).toEqual([]);
  await expect(Promise.race([children.death, "nothing"])).resolves.toBe("nothing");
});

test("some can be stopped before the others", async () => {
  children = new Children();
  const forever = await script("setInterval(() => {}, 1000)");
  children.start("one", forever, []);
  children.start("two", forever, []);
  await children.stop((name) => name === "one");
  expect(children.pids).toHaveLength(1);
});

test("a child that does not stop is killed at the deadline", async () => {
  children = new Children(50);
  const deaf = join(folder, "deaf");
  const source = `
    import { writeFileSync } from "node:fs";
    process.on("SIGTERM", () => {});
    writeFileSync(${JSON.stringify(deaf)}, "");
    setInterval(() => {}, 1000);
  `;
  children.start("deaf", await script(source), []);
  await expect.poll(() => existsSync(deaf), { timeout: 30_000 }).toBe(true);
  const startedMs = performance.now();
  await children.stop();
  // It outlived what it was asked to end by, so what ended it is what nobody can ignore.
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(49);
  expect(children.pids).toEqual([]);
}, 60_000);

async function script(source: string): Promise<string> {
  const path = join(folder, `${Math.random().toString(36).slice(2)}.mjs`);
  await writeFile(path, source);
  return path;
}

test("a child that is replaced is not reported, and its place is taken only once it is gone", async () => {
  children = new Children();
  const path = await script("setInterval(() => {}, 1000)");
  children.start("cart", path, []);
  children.start("web", path, []);
  const [cart, web] = children.pids;
  await children.replace("cart", path, []);
  expect(children.pids).toHaveLength(2);
  expect(children.pids).toContain(web);
  expect(children.pids).not.toContain(cart);
  await expect(Promise.race([children.death, "nothing"])).resolves.toBe("nothing");
});
