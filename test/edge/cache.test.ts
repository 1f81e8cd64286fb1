import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";

import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { get, sendRaw } from "../harness/client.ts";
import { freePort } from "../harness/free-port.ts";
import { startProxy } from "../harness/proxy.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/** The application: cacheable for everybody, and different for each tag. */
async function startEdge() {
  const app = await startUpstream((request) => {
    const tag = /sandbox=([a-z0-9-]+)/.exec(request.head)?.[1] ?? "baseline";
    return response(tag, "Cache-Control: public, max-age=600\r\n");
  });
  const edge = await startProxy({
    baseline: app,
    workload: "shop/edge",
    known: ["jane-42", "joe-7"],
    flags: { mode: "edge" },
  });
  return { app, edge };
}

/** A real nginx that caches what the edge answers; resolves with its port. */
async function startCache(edgeAt: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "forklane-nginx-"));
  const port = await freePort();
  await writeFile(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  proxy_cache_path ${folder}/cache keys_zone=shared:1m;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://${edgeAt};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_cache shared;
      proxy_cache_key $scheme$http_host$request_uri;
      add_header x-cache $upstream_cache_status always;
    }
  }
}
`,
  );
  const nginx = spawn("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], {
    stdio: "inherit",
  });
  onTestFinished(async () => {
    nginx.kill("SIGTERM");
    await new Promise<void>((resolve) => nginx.once("exit", () => resolve()));
    await rm(folder, { recursive: true, force: true });
  });
  await expect.poll(async () => await isListening(port), { timeout: 10_000 }).toBe(true);
  return port;
}

async function isListening(port: number): Promise<boolean> {
  return await get(port, { path: "/warm" }).then(
    () => true,
    () => false,
  );
}

describe("a shared cache in front of the edge", () => {
  test("keeps what everybody gets, and serves it to everybody", async () => {
    const { app, edge } = await startEdge();
    const cache = await startCache(edge.at);
    const first = await get(cache);
    const seen = app.requests.length;
    const second = await get(cache);
    expect([first.body, first.fields["x-cache"]]).toEqual(["baseline", "MISS"]);
    expect([second.body, second.fields["x-cache"]]).toEqual(["baseline", "HIT"]);
    expect(app.requests.length).toBe(seen);
  });

  test.each([
    ["header", (key: string) => ({ fields: [`forklane-key: ${key}`] })],
    ["cookie", (key: string) => ({ fields: [`Cookie: forklane-key=${key}`] })],
  ])(
    "never serves one sandbox's answer to another, nor the baseline's, by %s",
    async (_by, ask) => {
      const { edge } = await startEdge();
      const cache = await startCache(edge.at);
      for (let round = 0; round < 3; round++) {
        expect((await get(cache)).body).toBe("baseline");
        expect((await get(cache, ask("jane-42"))).body).toBe("jane-42");
        expect((await get(cache, ask("joe-7"))).body).toBe("joe-7");
      }
    },
  );

  test("tells sandboxes apart whose key is in the host, and may keep each one's answers", async () => {
    const { edge } = await startEdge();
    const cache = await startCache(edge.at);
    const ask = async (key: string) =>
      await sendRaw(cache, `GET / HTTP/1.1\r\nHost: ${key}--shop.test\r\n\r\n`);
    for (let round = 0; round < 2; round++) {
      expect((await ask("jane-42")).body).toBe("jane-42");
      expect((await ask("joe-7")).body).toBe("joe-7");
      expect((await get(cache)).body).toBe("baseline");
    }
    expect((await ask("jane-42")).fields["x-cache"]).toBe("HIT");
  });
});
