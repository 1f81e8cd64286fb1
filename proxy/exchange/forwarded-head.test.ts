import { describe, expect, test } from "vitest";
import {
  getWith,
  requestHead,
  responseHead,
  sentRequest,
  sentResponse,
} from "../../test/harness/parsed-head.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { forwardRequestHead, forwardResponseHead } from "./forwarded-head.ts";

const CARRIER = "x-team-key";

function forwarded(head: ReturnType<typeof getWith>, isUpgrade = false) {
  const edit = new HeadEdit(200);
  const fault = forwardRequestHead(head, edit, isUpgrade, "10.0.0.1:80", [CARRIER]);
  return fault ?? sentRequest(head, edit).slice(1);
}

describe("a request head", () => {
  test("without anything that belongs to a connection is not touched at all", () => {
    const head = getWith("X-B: 1", "x-a:2", "Trailer: X", "Proxy-Authorization: b", "Expect: x");
    const edit = new HeadEdit(200);
    expect(forwardRequestHead(head, edit, false, "10.0.0.1:80", [])).toBeNull();
    expect(edit.isEmpty).toBe(true);
  });

  test.each([
    [["Connection: keep-alive", "Keep-Alive: timeout=5"]],
    [["Proxy-Connection: keep-alive"]],
    [["TE: gzip"]],
    [["TE: trailers, gzip", "Connection: te"]],
    [["Upgrade: h2c", "HTTP2-Settings: AAA", "Connection: upgrade, http2-settings"]],
    [["Connection: X-Hop, x-other", "X-Hop: 1", "x-HOP: 2", "X-Other: 3"]],
    [["Connection: date", "Date: now"]],
    [["Connection: close", "Connection: x-hop", "X-Hop: 1"]],
  ])("loses %j", (fields) => {
    expect(forwarded(getWith("X-A: 1", ...fields, "X-Z: 1"))).toEqual([
      "Host: shop.test",
      "X-A: 1",
      "X-Z: 1",
    ]);
  });

  test("keeps `TE: trailers`, and names it", () => {
    expect(forwarded(getWith("Connection: TE", "TE: Trailers"))).toEqual([
      "Host: shop.test",
      "TE: Trailers",
      "connection: te",
    ]);
  });

  test("keeps Upgrade where it asks for a tunnel that we let through", () => {
    expect(
      forwarded(getWith("Connection: Upgrade, x-hop", "Upgrade: websocket", "X-Hop: 1"), true),
    ).toEqual(["Host: shop.test", "Upgrade: websocket", "connection: upgrade"]);
  });

  test.each([
    "baggage",
    "Content-Length",
    "host",
    "transfer-encoding",
    "authorization",
    "cookie",
    "traceparent",
    "tracestate",
    "x-forwarded-for",
    "X-Forwarded-Anything",
    "forwarded",
    "via",
    "cache-control",
    "content-type",
    "expect",
    "if-match",
    "max-forwards",
    "b3",
    "x-b3-traceid",
    "x-datadog-trace-id",
    "uber-trace-id",
    "correlation-context",
    "ot-baggage-sandbox",
    "forklane-key",
    "forklane-via",
    "forklane-anything",
    CARRIER,
    Array.from({ length: 9 }, (_, i) => `x-${i}`).join(","),
  ])("that nominates %s is refused: field-protected", (option) => {
    expect(forwarded(getWith(`Connection: close, ${option}`))).toBe("field-protected");
  });

  test("may nominate nine fields of its own", () => {
    const names = Array.from({ length: 9 }, (_, i) => `x-${i}`);
    expect(forwarded(getWith(`Connection: ${names}`, "x-0: 1", "x-8: 1"))).toEqual([
      "Host: shop.test",
    ]);
  });

  test("with 256 characters of TE is refused, in one line or in several", () => {
    expect(forwarded(getWith(`TE: ${"x".repeat(255)}`))).toEqual(["Host: shop.test"]);
    expect(forwarded(getWith(`TE: ${"x".repeat(256)}`))).toBe("field-protected");
    const line = `TE: ${"x".repeat(128)}`;
    expect(forwarded(getWith(line, line))).toBe("field-protected");
  });

  test("of HTTP/1.0 without Host gets the upstream's", () => {
    expect(forwarded(requestHead(["GET / HTTP/1.0"]))).toEqual(["host: 10.0.0.1:80"]);
  });
});

describe("a response head", () => {
  function passedDown(fields: readonly string[], isUpgrade = false) {
    const head = responseHead(["HTTP/1.1 200 OK", ...fields]);
    const edit = new HeadEdit(200);
    forwardResponseHead(head, edit, isUpgrade);
    return sentResponse(head, edit).slice(1);
  }

  test("loses what belongs to a connection, and nothing that frames or matters", () => {
    expect(
      passedDown([
        "Connection: close, X-Hop, content-length",
        "X-Hop: 1",
        "Keep-Alive: timeout=5",
        "Content-Length: 3",
        "Upgrade: h2c",
      ]),
    ).toEqual(["Content-Length: 3"]);
  });

  test("keeps Upgrade where it opens a tunnel", () => {
    expect(passedDown(["Connection: Upgrade", "Upgrade: websocket"], true)).toEqual([
      "Upgrade: websocket",
      "connection: upgrade",
    ]);
  });
});
