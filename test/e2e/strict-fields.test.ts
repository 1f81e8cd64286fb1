import { describe, expect, onTestFinished, test } from "vitest";
import { Connection, sendRaw } from "../harness/client.ts";
import { listenRaw, startDataPlane } from "../harness/data-plane.ts";
import { startProxy } from "../harness/proxy.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/** Fields that mean something else to the next reader, each by its one written rule. */
async function passedUp(bytes: string, flags: Readonly<Record<string, string>> = {}) {
  const baseline = await startUpstream(response("ok"));
  const proxy = await startProxy({ baseline, flags });
  const { status } = await sendRaw(proxy.port, bytes);
  const [request] = baseline.requests;
  return { status, lines: request?.head.split("\r\n").slice(1, -2), body: request?.body };
}

function get(...fields: string[]): string {
  return ["GET / HTTP/1.1", "Host: a", ...fields, "", ""].join("\r\n");
}

const WITH_TRAILERS =
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nx_team: 2\r\nX-Team: 3\r\n\r\n";

describe("names with underscores", () => {
  test("pass unchanged, and are never taken for the name with a hyphen", async () => {
    const { status, lines } = await passedUp(get("Content_Length: 5", "bag_gage: sandbox=x!"));
    expect([status, lines]).toEqual([
      200,
      ["Host: a", "Content_Length: 5", "bag_gage: sandbox=x!"],
    ]);
  });

  test("are dropped where the proxy is told so", async () => {
    const { status, lines } = await passedUp(get("X_A: 1", "X-B: 2", "C_: 3"), {
      "underscore-fields": "drop",
    });
    expect([status, lines]).toEqual([200, ["Host: a", "X-B: 2"]]);
  });

  test("refuse the request where the proxy is told so, and it never gets up", async () => {
    const { status, lines } = await passedUp(get("X_A: 1"), { "underscore-fields": "reject" });
    expect([status, lines]).toEqual([400, undefined]);
  });

  test.each([
    ["forward", "x_team: 2\r\nX-Team: 3\r\n"],
    ["drop", "X-Team: 3\r\n"],
    ["reject", "X-Team: 3\r\n"],
  ])("among the trailers: %s", async (rule, kept) => {
    const { body } = await passedUp(WITH_TRAILERS, { "underscore-fields": rule });
    expect(body).toBe(`1\r\nx\r\n0\r\nX-Sum: 1\r\n${kept}\r\n`);
  });
});

test("a carrier among the trailers does not get up: tags stand in heads", async () => {
  const { body } = await passedUp(WITH_TRAILERS, { carriers: "header:x-team" });
  expect(body).toBe("1\r\nx\r\n0\r\nX-Sum: 1\r\nx_team: 2\r\n\r\n");
});

test("fields that are there twice are passed on twice, in order", async () => {
  const twice = ["X-A: 1", "baggage: a=1", "x-a: 2", "baggage: b=2", "Cookie: c", "Cookie: d"];
  expect(await passedUp(get(...twice))).toMatchObject({ lines: ["Host: a", ...twice] });
});

test("an expectation that is not ours to meet is passed on", async () => {
  expect(await passedUp(get("Expect: 200-maybe"))).toMatchObject({
    lines: ["Host: a", "Expect: 200-maybe"],
  });
});

test.each([
  [["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"]],
  [["Upgrade: foo", "Connection: upgrade"]],
  [["Upgrade: websocket, h2c", "Connection: upgrade"]],
  [["Upgrade: websocket", "Upgrade: h2c", "Connection: upgrade"]],
  [["Upgrade: TLS/1.2"]],
])("%j is no upgrade that we let through: nothing of it gets up", async (fields) => {
  expect(await passedUp(get("X-A: 1", ...fields))).toMatchObject({
    status: 200,
    lines: ["Host: a", "X-A: 1"],
  });
});

test("a key in the host that HTTP/1.0 names in its target alone is taken out of it", async () => {
  const jane = await startUpstream(response("jane"));
  const baseline = await startUpstream(response("baseline"));
  const forks = { "jane-42": { at: jane } };
  const proxy = await startProxy({ baseline, forks, flags: { mode: "edge" } });
  const seen = await sendRaw(
    proxy.port,
    "GET http://jane-42--shop.test/x HTTP/1.0\r\nX-Forwarded-Host: evil\r\nX-A: 1\r\n\r\n",
  );
  expect(seen.body).toBe("jane");
  const lines = jane.requests[0]?.head.split("\r\n") ?? [];
  expect(lines.filter((line) => /^(?:GET|x-|host:)/i.test(line))).toEqual([
    "GET /x HTTP/1.1",
    "X-A: 1",
    "x-forwarded-host: jane-42--shop.test",
    "host: shop.test",
  ]);
});

test("Max-Forwards is counted down for OPTIONS and TRACE, and for nobody else", async () => {
  const options = "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n";
  expect((await passedUp(options)).lines).toEqual(["Host: a", "Max-Forwards: 1"]);
  expect((await passedUp(get("Max-Forwards: 0"))).lines).toEqual(["Host: a", "Max-Forwards: 0"]);
  expect(await passedUp(options.replace("2", "0"))).toEqual({ status: 501 });
});

test("a caller that asked before it sends its body, and was refused, is told that no request may follow", async () => {
  const baseline = await listenRaw((socket) => {
    socket.once("data", () => socket.write(response("no", "", "413 Too Large")));
  });
  const plane = await startDataPlane({ baseline });
  const connection = await Connection.open(plane.port);
  onTestFinished(() => connection.close());
  connection.write(
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\nExpect: 100-continue\r\n\r\n",
  );
  const refused = await connection.response();
  expect([refused.status, refused.fields["connection"]]).toEqual([413, "close"]);
  // It takes the refusal for the end of its request. As the body of the first it would be swallowed.
  connection.write("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
  await connection.until(() => false);
  expect([connection.text, connection.closed]).toEqual(["", "ended"]);
  expect(plane.recorded).toMatchObject([{ method: "PUT", status: 413 }]);
});
