/**
 * One line of ASCII being written: text, JSON strings and numbers, as bytes.
 *
 * Before: telemetry/access-log-line.ts. After: telemetry/line-file.ts, which copies it.
 * Invariants: the buffer is one for all lines; what does not fit is left out, and `isCut` says so.
 * Hot path of tagged traffic: no string is made, and constant text is kept as bytes (`asciiBytes`).
 */
export class AsciiLine {
  readonly bytes: Buffer;
  length = 0;
  /** Whether something did not fit. */
  isCut = false;

  /** `bytesMax` is the longest line. */
  constructor(bytesMax: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytesMax);
  }

  /** Begins a new line. */
  clear(): void {
    this.length = 0;
    this.isCut = false;
  }

  /** Adds ASCII as it is. */
  text(text: string): void {
    const at = this.#take(text.length);
    if (at >= 0) this.bytes.write(text, at, "latin1");
  }

  /** The same, of bytes: the cheaper form. */
  ascii(bytes: Uint8Array): void {
    const { length } = bytes;
    const at = this.#take(length);
    if (at < 0) return;
    if (length > FEW_BYTES_MAX) this.bytes.set(bytes, at);
    else for (let i = 0; i < length; i++) this.bytes[at + i] = bytes[i] as number;
  }

  /** The same, of `count` bytes within others: few. */
  part(bytes: Buffer, start: number, count: number): void {
    const at = this.#take(count);
    if (at < 0) return;
    for (let i = 0; i < count; i++) this.bytes[at + i] = bytes[start + i] as number;
  }

  /** Adds a JSON string: control bytes are written as `\xNN` in it, what is not ASCII as `\uNNNN`. */
  json(text: string): void {
    const { length } = text;
    const start = this.#take(length + 2);
    if (start < 0) return;
    const isPlain =
      length <= SHORT_CHARS_MAX ? this.#putShort(text, start + 1) : this.#put(text, start + 1);
    if (!isPlain) {
      this.length = start;
      this.text(asciiJson(text));
      return;
    }
    this.bytes[start] = QUOTE;
    this.bytes[this.length - 1] = QUOTE;
  }

  /** Writes text, and tells whether all of it is plain. */
  #putShort(text: string, start: number): boolean {
    const { bytes } = this;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f || IS_PLAIN[code] === 0) return false;
      bytes[start + i] = code;
    }
    return true;
  }

  /** As UTF-8, so that what is not ASCII is seen: in its bytes, or in their number. */
  #put(text: string, start: number): boolean {
    const { bytes } = this;
    const end = start + text.length;
    if (bytes.write(text, start, text.length, "utf8") < text.length) return false;
    for (let at = start; at < end; at++) {
      if (IS_PLAIN[bytes[at] as number] === 0) return false;
    }
    return true;
  }

  /** Adds a whole number, in at least `digitsMin` digits. */
  whole(value: number, digitsMin = 1): void {
    let digits = digitsMin;
    while (digits < DIGITS_MAX && value >= (POWERS[digits] as number)) digits++;
    const at = this.#take(digits);
    if (at < 0) return;
    let rest = value;
    let i = at + digits - 1;
    for (; rest > INT32_MAX && i >= at; i--) {
      const next = Math.floor(rest / 10);
      this.bytes[i] = DIGIT_0 + (rest - next * 10);
      rest = next;
    }
    // Nearly all are whole numbers of the processor.
    for (let small = rest | 0; i >= at; i--) {
      const next = (small / 10) | 0;
      this.bytes[i] = DIGIT_0 + (small - next * 10);
      small = next;
    }
  }

  /** Adds a duration in milliseconds, in thousandths: without the cost of printing a double. */
  millis(ms: number): void {
    const micros = Math.max(0, Math.round(ms * 1000));
    const whole = Math.floor(micros / 1000);
    this.whole(whole);
    const at = this.#take(1);
    if (at >= 0) this.bytes[at] = POINT;
    this.whole(micros - whole * 1000, 3);
  }

  /** Where the next `count` bytes go; -1 if they do not fit. */
  #take(count: number): number {
    const at = this.length;
    if (at + count > this.bytes.length) {
      this.isCut = true;
      return -1;
    }
    this.length = at + count;
    return at;
  }
}

/** Writes control bytes, C1 included, as `\xNN`: JSON leaves 0x7f to 0x9f as they are. */
export function escapeControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

/** Text of ASCII as bytes. */
export function asciiBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** A JSON string in ASCII, its control bytes as `\xNN`. */
export function asciiJson(text: string): string {
  if (isPlain(text)) return `"${text}"`;
  return asciiOnly(JSON.stringify(escapeControls(text)));
}

function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f || IS_PLAIN[code] === 0) return false;
  }
  return true;
}

/** JSON with what is not ASCII as `\uNNNN`. */
export function asciiOnly(json: string): string {
  return json.replace(/[^ -~]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DIGIT_0 = 0x30;
const POINT = 0x2e;

/** Up to here text goes character by character: that is less than a call that writes it. */
const SHORT_CHARS_MAX = 48;

/** Up to here bytes go one by one: a call that copies costs as much as 40. */
const FEW_BYTES_MAX = 32;

const INT32_MAX = 0x7fff_ffff;

/** More digits than a whole number that is exact has. */
const DIGITS_MAX = 16;
const POWERS = Array.from({ length: DIGITS_MAX + 1 }, (_, i) => 10 ** i);

/** Visible ASCII and space, without what JSON escapes. */
const IS_PLAIN = Uint8Array.from({ length: 256 }, (_, code) =>
  code >= 0x20 && code < 0x7f && code !== QUOTE && code !== BACKSLASH ? 1 : 0,
);
