import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { call, FakeClock, JANE, limitsWith, startControl } from "../control.fake.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { sandboxSpec } from "../store/store.cases.ts";
import type { ControlContext } from "./context.ts";
import { commitWrite } from "./write.ts";

test("a store that cannot write is said so, and nothing was changed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "forklane-write-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, "forklane.db");
  const control = await startControl({ data });
  const disk = new DatabaseSync(data);
  onTestFinished(() => disk.close());
  disk.exec(
    "CREATE TRIGGER full BEFORE INSERT ON resources BEGIN SELECT RAISE(ABORT, 'full'); END",
  );
  const failed = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  expect(failed).toMatchObject({ status: 503, body: { code: "store-failed" } });
  expect((await call(control, "GET", "/v1/sandboxes")).body.items).toEqual([]);
  expect((await call(control, "GET", "/v1/routes/shop/cart")).body.known).toEqual([]);
  disk.exec("DROP TRIGGER full");
  expect((await call(control, "PUT", "/v1/sandboxes/jane-42", JANE)).status).toBe(201);
});

test("a resource that others keep changing is given up after eight tries", async () => {
  /** As if another replica wrote before each commit of ours. */
  let tries = 0;
  class BusyStore extends MemoryStore {
    override async commit() {
      // Past this no other write comes between, so that one without a bound ends, too.
      if (++tries > 1_000) throw new Error("tried for ever");
      return { ok: false, error: { code: "changed" } } as const;
    }
  }
  const context = { store: new BusyStore(limitsWith({})), clock: new FakeClock() };
  const write = {
    kind: "sandbox",
    name: "jane-42",
    headers: {},
    next: () => sandboxSpec(),
  } as const;
  const written = commitWrite(context as unknown as ControlContext, write);
  await expect(written).rejects.toMatchObject({ code: "changed-meanwhile" });
  expect(tries).toBe(8);
});

test("a request that arrives while control stops is told so", async () => {
  const control = await startControl();
  const socket = connect(control.address.port, control.address.host).setEncoding("utf8");
  await once(socket, "connect");
  socket.write("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n");
  // A second connection that is answered shows that the first one's bytes were taken.
  await fetch(`${control.url}/healthz`, { headers: { connection: "close" } });
  const closed = control.close();
  await new Promise((resolve) => setImmediate(resolve));
  socket.write("\r\n");
  const [text] = await once(socket, "data");
  expect(text).toMatch(/^HTTP\/1\.1 503 .*"code":"stopping"/s);
  socket.destroy();
  await closed;
});
