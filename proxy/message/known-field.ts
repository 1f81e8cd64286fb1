/**
 * The fields that the data plane acts on, as small numbers.
 *
 * A head's parser names each field once; afterwards a step asks for a number or a bit instead of
 * comparing strings. Hot path: once per field.
 */
export const FIELD = {
  OTHER: 0,
  HOST: 1,
  CONNECTION: 2,
  KEEP_ALIVE: 3,
  PROXY_CONNECTION: 4,
  TE: 5,
  TRANSFER_ENCODING: 6,
  CONTENT_LENGTH: 7,
  UPGRADE: 8,
  HTTP2_SETTINGS: 9,
  EXPECT: 10,
  BAGGAGE: 11,
  FORKLANE_KEY: 12,
  FORKLANE_VIA: 13,
  DATE: 14,
  COOKIE: 15,
  FORKLANE_DECISION: 16,
  FORKLANE_TRACE: 17,
  FORKLANE_FAULT: 18,
  MAX_FORWARDS: 19,
  /** Any other name that begins with `forklane-`: ours, whatever it will mean. */
  FORKLANE_OTHER: 20,
} as const;

/** Names in the order of FIELD's numbers, FORKLANE_OTHER left out; lower case. */
const NAMES: readonly string[] = [
  "",
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "content-length",
  "upgrade",
  "http2-settings",
  "expect",
  "baggage",
  "forklane-key",
  "forklane-via",
  "date",
  "cookie",
  "forklane-decision",
  "forklane-trace",
  "forklane-fault",
  "max-forwards",
];

/** The names of each length, so that a field is compared with at most three of them. */
const BY_LENGTH: readonly (readonly { id: number; codes: Uint8Array }[])[] = byLength();

function byLength(): { id: number; codes: Uint8Array }[][] {
  const table: { id: number; codes: Uint8Array }[][] = [];
  for (let id = 1; id < NAMES.length; id++) {
    const codes = codesOf(NAMES[id] ?? "");
    while (table.length <= codes.length) table.push([]);
    table[codes.length]?.push({ id, codes });
  }
  return table;
}

/** Names the field whose name stands at `start` to `end`; letters are compared without case. */
export function knownField(bytes: Uint8Array, start: number, end: number): number {
  const candidates = BY_LENGTH[end - start];
  if (candidates !== undefined) {
    for (const { id, codes } of candidates) {
      if (equalsIgnoringCase(bytes, start, codes)) return id;
    }
  }
  const isOurs = end - start >= OWN_PREFIX.length && equalsIgnoringCase(bytes, start, OWN_PREFIX);
  return isOurs ? FIELD.FORKLANE_OTHER : FIELD.OTHER;
}

const OWN_PREFIX = codesOf("forklane-");

/**
 * The number of a lower-case name; FIELD.OTHER if it has none of its own: then fields are compared
 * with the name itself.
 */
export function knownFieldByName(name: string): number {
  return BY_NAME.get(name) ?? FIELD.OTHER;
}

const BY_NAME: ReadonlyMap<string, number> = new Map(NAMES.map((name, id) => [name, id]));

function codesOf(name: string): Uint8Array {
  return Uint8Array.from(name, (char) => char.charCodeAt(0));
}

function equalsIgnoringCase(bytes: Uint8Array, start: number, codes: Uint8Array): boolean {
  for (let i = 0; i < codes.length; i++) {
    let byte = bytes[start + i] as number;
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    if (byte !== codes[i]) return false;
  }
  return true;
}
