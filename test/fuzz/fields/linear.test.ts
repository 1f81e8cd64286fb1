import { expect, test } from "vitest";
import { parseCarriers } from "../../../proxy/routing/carrier.ts";
import { parseTagValue } from "../../../proxy/routing/tag.ts";
import type { Input } from "../input.ts";
import { readByOurs } from "../ours.ts";
import { readFields, readTable } from "./read-fields.ts";

/**
 * The work grows with the bytes and not with their square. Two seconds of the processor, where
 * milliseconds are enough, are the same on a busy machine; the square of the bytes takes minutes.
 */
const CHARS = 256 * 1024;
/** Of a message, so that the limits of a head are not all that is measured. */
const MESSAGE_CHARS = 32 * 1024;
const CPU_MS_MAX = 2_000;

const UNITS: readonly string[] = [
  ...' |\t|,|;|=|%|%2|%3B|~|!|a|a,|- |--|.|:|[|"|0|f-|x=|, |; |\\|sandbox|sandbox=|sandbox=a,'.split(
    "|",
  ),
  ...";strict|forklane-hop=|forklane-hop=0123456789abcdef.|a=b;c,|close,|me;|%3A|jane-42--".split(
    "|",
  ),
  "forklane-key=;",
];
const NAMES: readonly string[] = [
  ..."baggage|forklane-key|connection|cookie|host|traceparent|b3|x-b3-traceid|x-datadog-trace-id".split(
    "|",
  ),
  ..."uber-trace-id|x-forwarded-for|forklane-via|max-forwards".split("|"),
];

test.each(UNITS)("fields are read in linear time: many of %j", (unit) => {
  const many = unit.repeat(CHARS / unit.length);
  const texts = [many, `sandbox=${many}`, `a${many}b`, `sandbox=jane${many}!`];
  for (const text of texts) {
    for (const name of NAMES) expectLinear(() => readFields(`${name}:${text}`));
    expectLinear(() => parseTagValue(text));
    expectLinear(() => parseCarriers(text));
    expectLinear(() => readTable(JSON.stringify({ revision: text, routes: { [text]: text } })));
    const names = [text, { sandbox: text, endpoints: [text] }];
    const workloads = {
      "shop/cart": { routes: {}, hosts: [text], addresses: [text], baseline: text },
    };
    expectLinear(() => readTable(JSON.stringify({ revision: 1, routes: { "jane-42": names[1] } })));
    expectLinear(() => readTable(JSON.stringify({ revision: 1, workloads })));
    expectLinear(() => readTable(JSON.stringify({ revision: 1, workloads: { [text]: {} } })));
  }
});

const START = "POST / HTTP/1.1\r\nHost: a\r\n";
const HEADS: readonly string[] = [
  START,
  `${START}X: `,
  `${START}Content-Length: `,
  `${START}Transfer-Encoding: chunked\r\n\r\n`,
  `${START}Transfer-Encoding: chunked\r\n\r\n1;`,
  `${START}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
  `${START}Content-Length: 9999999\r\n\r\n`,
  "GET http://",
];

test.each(["a", " ", "\t", "\r\n", "X: 1\r\n", "1\r\na\r\n", ":", "0", "\r", "a:\r\n"])(
  "messages are read in linear time, in one piece and byte by byte: many of %j",
  (unit) => {
    const many = unit.repeat(MESSAGE_CHARS / unit.length);
    const cuts = Array.from({ length: many.length }, (_, i) => i + 1);
    for (const head of HEADS) {
      const input: Input = { kind: "requests", methods: [], limits: "default", text: head + many };
      expectLinear(() => readByOurs(input));
      expectLinear(() => readByOurs(input, cuts));
    }
  },
);

function expectLinear(call: () => unknown): void {
  const before = process.cpuUsage();
  call();
  const { user } = process.cpuUsage(before);
  expect(user / 1_000).toBeLessThan(CPU_MS_MAX);
}
