/**
 * Events for those who look on: resources as they change, exchanges as they are recorded.
 *
 * Lossy on purpose: a reader that is slow misses events, and is told how many (`lagged`).
 */
import { err, ok, type Result } from "../../core/result.ts";
import { encodeSse } from "../../core/sse.ts";
import type { ControlLimits } from "../model/limits.ts";
import type { WatchSink } from "./watchers.ts";

interface Reader {
  readonly topic: string;
  readonly sink: WatchSink;
  missed: number;
}

export class Feed {
  readonly #limits: ControlLimits;
  readonly #readers = new Map<string, Set<Reader>>();
  #count = 0;

  constructor(limits: ControlLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /** Begins to tell of a topic; returns what ends it. */
  open(topic: string, sink: WatchSink): Result<() => void, "too-many"> {
    if (this.#count >= this.#limits.eventStreamsMax) return err("too-many");
    const reader: Reader = { topic, sink, missed: 0 };
    const readers = this.#readers.get(topic) ?? new Set<Reader>();
    this.#readers.set(topic, readers.add(reader));
    this.#count++;
    return ok(() => this.#remove(reader));
  }

  /** Tells whether anybody looks on, so that nothing is built for nobody. */
  hasReaders(topic: string): boolean {
    return this.#readers.has(topic);
  }

  tell(topic: string, event: string, content: object): void {
    const readers = this.#readers.get(topic);
    if (readers === undefined) return;
    const bytes = Buffer.from(encodeSse(event, JSON.stringify(content)));
    for (const reader of readers) this.#send(reader, bytes);
  }

  /** Keeps idle streams from being taken for dead, and tells slow readers what they missed. */
  heartbeat(): void {
    const bytes = Buffer.from(": heartbeat\n\n");
    for (const readers of this.#readers.values()) {
      for (const reader of readers) if (this.#hasRoom(reader)) this.#send(reader, bytes);
    }
  }

  /** Ends all streams. */
  close(): void {
    for (const readers of this.#readers.values()) {
      for (const reader of readers) reader.sink.drop();
    }
    this.#readers.clear();
    this.#count = 0;
  }

  #send(reader: Reader, bytes: Buffer): void {
    if (!this.#hasRoom(reader)) {
      reader.missed++;
      return;
    }
    if (reader.missed > 0) {
      const lagged = encodeSse("lagged", JSON.stringify({ missed: reader.missed }));
      reader.missed = 0;
      reader.sink.write(Buffer.from(lagged));
    }
    reader.sink.write(bytes);
  }

  #hasRoom(reader: Reader): boolean {
    return reader.sink.queuedBytes() <= this.#limits.eventQueuedBytesMax;
  }

  #remove(reader: Reader): void {
    const readers = this.#readers.get(reader.topic);
    if (readers?.delete(reader) !== true) return;
    if (readers.size === 0) this.#readers.delete(reader.topic);
    this.#count--;
  }
}
