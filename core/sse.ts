import { err, ok, type Result } from "./result.ts";

/** One server-sent event (HTML Living Standard, section 9.2). */
export interface SseEvent {
  /** The field `event`, or `message` where there was none. */
  readonly event: string;
  /** The last `id` seen on the stream, or empty. */
  readonly id: string;
  readonly data: string;
}

/**
 * Longest event that a reader takes, in characters. 20,000 sandboxes, the most that one control holds, that
 * each fork three of the workloads that a proxy knows are 6 million, and 15 million with the longest names.
 */
export const SSE_EVENT_CHARS_MAX = 16 * 1024 * 1024;

/** Lines of `data` in one event: control writes one, and each costs memory of its own. */
export const SSE_EVENT_LINES_MAX = 1_024;

/** Writes one event; `data` must hold no line break (JSON never does). */
export function encodeSse(event: string, data: string, id?: string): string {
  return id === undefined
    ? `event: ${event}\ndata: ${data}\n\n`
    : `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;
}

/** Turns the text of an event stream, cut anywhere, into events. */
export class SseReader {
  readonly #eventCharsMax: number;
  readonly #open = new OpenLine();
  #event = "";
  #data: string[] = [];
  #dataChars = 0;
  #id = "";

  constructor(eventCharsMax = SSE_EVENT_CHARS_MAX) {
    this.#eventCharsMax = eventCharsMax;
  }

  /** Takes the next piece; fails, once and for all, on an event past a limit. */
  read(piece: string): Result<SseEvent[], string> {
    const events: SseEvent[] = [];
    let start = 0;
    for (;;) {
      const end = piece.indexOf("\n", start);
      if (end < 0) break;
      this.#open.add(piece.slice(start, end));
      start = end + 1;
      const taken = this.#takeLine(this.#open.take(), events);
      if (!taken.ok) return taken;
    }
    this.#open.add(piece.slice(start));
    const checked = this.#check();
    return checked.ok ? ok(events) : checked;
  }

  #takeLine(line: string, events: SseEvent[]): Result<null, string> {
    if (line === "") {
      this.#endEvent(events);
      return ok(null);
    }
    const colon = line.indexOf(":");
    if (colon === 0) return ok(null);
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "event") this.#event = value;
    else if (field === "id") this.#id = value;
    else if (field === "data") {
      this.#data.push(value);
      this.#dataChars += value.length + 1;
    }
    return this.#check();
  }

  #endEvent(events: SseEvent[]): void {
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
  }

  /** All that is kept counts: whoever sends the stream chooses where it is long. */
  #check(): Result<null, string> {
    if (this.#data.length > SSE_EVENT_LINES_MAX) {
      return err(`an event has more than ${SSE_EVENT_LINES_MAX} lines of data`);
    }
    const chars = this.#open.chars + this.#dataChars + this.#event.length + this.#id.length;
    if (chars <= this.#eventCharsMax) return ok(null);
    return err(`an event is longer than ${this.#eventCharsMax} characters`);
  }
}

/** Small pieces are joined once they are as many characters together. */
const BLOCK_CHARS = 16 * 1024;

/**
 * A line whose end has not come. Each character is copied twice at most, and costs little more than
 * itself, however small the pieces are.
 */
class OpenLine {
  chars = 0;
  #blocks: string[] = [];
  #pieces: string[] = [];
  #piecesChars = 0;

  add(piece: string): void {
    if (piece === "") return;
    this.chars += piece.length;
    this.#pieces.push(piece);
    this.#piecesChars += piece.length;
    if (this.#piecesChars >= BLOCK_CHARS) this.#closeBlock();
  }

  /** The line, without the CR before its end; the next one begins. */
  take(): string {
    this.#closeBlock();
    const line = this.#blocks.length === 1 ? (this.#blocks[0] as string) : this.#blocks.join("");
    this.chars = 0;
    this.#blocks = [];
    return line.endsWith("\r") ? line.slice(0, -1) : line;
  }

  #closeBlock(): void {
    const [first = ""] = this.#pieces;
    this.#blocks.push(this.#pieces.length < 2 ? first : this.#pieces.join(""));
    this.#pieces = [];
    this.#piecesChars = 0;
  }
}
