import { expect, test } from "vitest";
import { call, JANE, startControl } from "../control.fake.ts";

test("only names of this machine are served: another one may be DNS that was rebound", async () => {
  const control = await startControl();
  const get = (host: string) => call(control, "GET", "/v1/sandboxes", undefined, { host });
  for (const host of ["127.0.0.1", "127.0.0.1:7070", "localhost:7070", "LOCALHOST", "[::1]:7070"]) {
    expect((await get(host)).status).toBe(200);
  }
  for (const host of [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil",
    "0.0.0.0",
    "::1",
  ]) {
    expect(await get(host)).toMatchObject({ status: 421, body: { code: "host-refused" } });
  }
});

test("a page of another origin is refused, with any method and at any path", async () => {
  const control = await startControl();
  const host = "127.0.0.1:7070";
  const asking = (origin: string) => ({ host, origin });
  const get = (origin: string) => call(control, "GET", "/v1/sandboxes", undefined, asking(origin));
  expect((await get("http://127.0.0.1:7070")).status).toBe(200);
  for (const origin of [
    "null",
    "http://evil.example",
    "http://127.0.0.1:8080",
    "https://127.0.0.1:7070",
  ]) {
    expect(await get(origin)).toMatchObject({ status: 403, body: { code: "origin-refused" } });
    const put = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE, asking(origin));
    expect(put.status).toBe(403);
    expect((await call(control, "GET", "/docs", undefined, asking(origin))).status).toBe(403);
    expect((await call(control, "GET", "/nowhere", undefined, asking(origin))).status).toBe(403);
  }
});

test("a path that is not there is told from a method that is not there", async () => {
  const control = await startControl();
  expect(await call(control, "GET", "/v1/nowhere")).toMatchObject({
    status: 404,
    headers: { "content-type": expect.stringContaining("application/problem+json") },
    body: { code: "not-found" },
  });
  const wrong = await call(control, "POST", "/v1/sandboxes/jane-42", {});
  expect(wrong).toMatchObject({ status: 405, body: { code: "method-not-allowed" } });
  expect(String(wrong.headers["allow"]).split(", ").sort()).toEqual([
    "DELETE",
    "GET",
    "HEAD",
    "PATCH",
    "PUT",
  ]);
});
