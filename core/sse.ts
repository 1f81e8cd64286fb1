import { err, ok, type Result } from "./result.ts";

/** One server-sent event (HTML Living Standard, section 9.2). */
export interface SseEvent {
  /** The field `event`, or `message` where there was none. */
  readonly event: string;
  /** The last `id` seen on the stream, or empty. */
  readonly id: string;
  readonly data: string;
}

/** Longest event that a reader takes, in characters: 10,000 routes are about 1.5 million. */
export const SSE_EVENT_CHARS_MAX = 64 * 1024 * 1024;

/** Writes one event; `data` must hold no line break (JSON never does). */
export function encodeSse(event: string, data: string, id?: string): string {
  return id === undefined
    ? `event: ${event}\ndata: ${data}\n\n`
    : `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;
}

/** Turns the text of an event stream, cut anywhere, into events. */
export class SseReader {
  readonly #eventCharsMax: number;
  #rest = "";
  #event = "";
  #data: string[] = [];
  #dataChars = 0;
  #id = "";

  constructor(eventCharsMax = SSE_EVENT_CHARS_MAX) {
    this.#eventCharsMax = eventCharsMax;
  }

  /** Takes the next piece; fails, once and for all, on an event longer than the limit. */
  read(piece: string): Result<SseEvent[], string> {
    const events: SseEvent[] = [];
    let text = this.#rest + piece;
    let start = 0;
    for (;;) {
      const end = text.indexOf("\n", start);
      if (end < 0) break;
      const line = text.slice(start, text[end - 1] === "\r" ? end - 1 : end);
      start = end + 1;
      this.#takeLine(line, events);
    }
    text = text.slice(start);
    this.#rest = text;
    if (text.length + this.#dataChars > this.#eventCharsMax) {
      return err(`an event is longer than ${this.#eventCharsMax} characters`);
    }
    return ok(events);
  }

  #takeLine(line: string, events: SseEvent[]): void {
    if (line === "") {
      if (this.#data.length > 0) {
        events.push({
          event: this.#event || "message",
          id: this.#id,
          data: this.#data.join("\n"),
        });
      }
      this.#event = "";
      this.#data = [];
      this.#dataChars = 0;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "event") this.#event = value;
    else if (field === "id") this.#id = value;
    else if (field === "data") {
      this.#data.push(value);
      // With its line feed: empty ones take memory, too.
      this.#dataChars += value.length + 1;
    }
  }
}
