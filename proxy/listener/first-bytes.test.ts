import { describe, expect, test } from "vitest";
import { judgeFirstBytes, type Speech } from "./first-bytes.ts";

const HEAD = "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n";
const CLIENT_HELLO = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

describe("the first bytes", () => {
  test.each<[Speech, string, string]>([
    ["http", "a request", HEAD],
    ["http", "an older one", "GET / HTTP/1.0\n"],
    ["http", "a method that nobody knows", "M-SEARCH * HTTP/1.1\r\n"],
    ["http", "one in absolute form", "GET http://a/ HTTP/1.1\r\n"],
    ["http", "empty lines first", `\r\n\n${HEAD}`],
    ["http", "one that is malformed", "GET /a b HTTP/1.1\r\n"],
    ["http", "one whose version is malformed", "GET / HTTP/1.10 \r\n"],
    ["http", "a control byte in the target", "GET /\u0001 HTTP/1.1\r\n"],
    ["http", "tabs for spaces", "GET\t/\tHTTP/1.1\r\n"],
    ["http", "white space in front", " \fGET / HTTP/1.1\r\n"],
    ["http", "white space behind", "GET /  HTTP/1.1 \v\r\r\n"],
    ["http", "a version in small letters", "GET / http/1.1\r\n"],
    ["http", "a line ended by another byte first", "GET / HTTP/1.1\rX: HTTP/1.1\n"],
    ["http", "a line that is too long", `GET /${"x".repeat(200)}`],
    ["other", "TLS", CLIENT_HELLO],
    ["other", "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["other", "HTTP/0.9", "GET /\r\n"],
    ["other", "memcached", "get key\r\n"],
    ["other", "Redis", "*1\r\n$4\r\nPING\r\n"],
    ["other", "Redis by hand", "PING\r\n"],
    ["other", "PostgreSQL", "\u0000\u0000\u0000\u0008\u0004\u00d2\u0016\u002f"],
    ["other", "SMTP", "EHLO a\r\n"],
    ["other", "RTSP", "OPTIONS rtsp://a RTSP/1.0\r\n"],
    ["other", "a byte that no method has", "{"],
    ["other", "a control byte in the method", "GE\u0000T / HTTP/1.1\r\n"],
    [
      "other",
      "a forward proxy being asked for a tunnel",
      "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ["other", "the beginning of that", "CONNECT "],
    ["http", "a method like it", "CONNECTED / HTTP/1.1\r\n"],
    ["http", "a method has its case", "connect a:443 HTTP/1.1\r\n"],
    ["more", "nothing", ""],
    ["more", "a method", "GET"],
    ["more", "a piece of a line", "GET / HTTP/1.1\r"],
    ["more", "empty lines alone", "\r\n\r\n"],
  ])("are %s: %s", (speech, _what, text) => {
    expect(judgeFirstBytes(Buffer.from(text, "latin1"), 100)).toBe(speech);
  });

  test.each<[Speech, string]>([
    ["http", "GET / HTTP/1.1"],
    ["http", "GET / HTTP/1.1\r"],
    ["other", "GET / HT"],
    ["other", "hello"],
    ["other", ""],
    ["other", "\r\n"],
  ])("are %s where nothing follows: %j", (speech, text) => {
    expect(judgeFirstBytes(Buffer.from(text, "latin1"), 100, true)).toBe(speech);
  });

  test.each([
    HEAD,
    "CONNECT a:443 HTTP/1.1\r\n",
    "GET /\u0001 HTTP/1.1\r\n",
    " GET\t/ http/1.1 \v\r\n",
    "PRI * HTTP/2.0\r\n",
    CLIENT_HELLO,
    "get key\r\n",
  ])("come to the same however they are cut: %j", (text) => {
    const bytes = Buffer.from(text, "latin1");
    const whole = judgeFirstBytes(bytes, 100);
    for (let end = 1; end <= bytes.length; end++) {
      const speech = judgeFirstBytes(bytes.subarray(0, end), 100);
      expect(["more", whole]).toContain(speech);
    }
  });
});
