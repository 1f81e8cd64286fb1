/**
 * Which bytes may stand where in an HTTP/1.1 message, as tables of 256 entries.
 *
 * Hot path: one load per byte of a head.
 */

export const CR = 0x0d;
export const LF = 0x0a;
export const SP = 0x20;
export const HTAB = 0x09;
export const COLON = 0x3a;

/** `tchar` (RFC 9110 section 5.6.2): field names, methods, tokens. */
export const TOKEN: Uint8Array = table(
  "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
);

/** Bytes of a field value (RFC 9110 section 5.5): visible, space, tab, obs-text. */
export const FIELD_VALUE: Uint8Array = ranges([HTAB, HTAB], [SP, 0x7e], [0x80, 0xff]);

/**
 * Bytes of a request target: visible ASCII without `#`, which no request target has
 * (RFC 9112 section 3.2). Wider than RFC 3986, since browsers send `|` and `"` in queries, and a
 * target is passed on untouched.
 */
export const TARGET: Uint8Array = ranges([0x21, 0x22], [0x24, 0x7e]);

/** Bytes of a host (RFC 3986 section 3.2.2) without the sub-delimiters that no service name has. */
export const HOST: Uint8Array = table(
  "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
);

/** What HEX answers for a byte that is no hexadecimal digit. */
export const NO_HEX = 255;

/** The value of a hexadecimal digit; NO_HEX for any other byte. */
export const HEX: Uint8Array = hexDigits();

function table(characters: string): Uint8Array {
  const allowed = new Uint8Array(256);
  for (const character of characters) allowed[character.charCodeAt(0)] = 1;
  return allowed;
}

function ranges(...pairs: readonly (readonly [number, number])[]): Uint8Array {
  const allowed = new Uint8Array(256);
  for (const [first, last] of pairs) allowed.fill(1, first, last + 1);
  return allowed;
}

function hexDigits(): Uint8Array {
  const values = new Uint8Array(256).fill(NO_HEX);
  for (const [i, digit] of [..."0123456789abcdef"].entries()) {
    values[digit.charCodeAt(0)] = i;
    values[digit.toUpperCase().charCodeAt(0)] = i;
  }
  return values;
}
