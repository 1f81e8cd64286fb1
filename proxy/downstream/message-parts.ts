import { BodyDecoder } from "../http1/decode-body.ts";
import { Http1RequestHead } from "../http1/head.ts";
import { type HeadReader, requestHeadReader } from "../http1/head-reader.ts";
import type { Limits } from "../limits.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { MessageMemory } from "./message-memory.ts";

/**
 * What a connection needs for one message, and not between two: most connections are idle.
 *
 * Before: downstream/http1-connection.ts. After: http1/head-reader.ts, http1/decode-body.ts.
 */
export interface MessageParts {
  readonly reader: HeadReader<Http1RequestHead>;
  readonly decoder: BodyDecoder;
  readonly requestEdit: HeadEdit;
  readonly responseEdit: HeadEdit;
  readonly memory: MessageMemory;
}

/**
 * The parts that are not in use, for the connections of one listener.
 *
 * Invariants: parts are one connection's at a time; those given back refer to nothing of a message.
 * Hot path: a request takes parts that were there before.
 */
export class MessagePartsPool {
  readonly #limits: Limits;
  readonly #spare: MessageParts[] = [];

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  take(): MessageParts {
    return this.#spare.pop() ?? newParts(this.#limits);
  }

  /** The message is over; nobody may look at its head any more, nor at what it was read into. */
  giveBack(parts: MessageParts): void {
    parts.reader.head.forget();
    parts.requestEdit.reset();
    parts.responseEdit.reset();
    if (this.#spare.length < BLOCKS_MAX) parts.memory.clear();
    else parts.memory.release();
    if (this.#spare.length < SPARE_MAX) this.#spare.push(parts);
  }
}

function newParts(limits: Limits): MessageParts {
  const fieldsMax = limits.headFieldsMax;
  return {
    reader: requestHeadReader(new Http1RequestHead(), limits),
    decoder: new BodyDecoder(limits),
    requestEdit: new HeadEdit(fieldsMax),
    responseEdit: new HeadEdit(fieldsMax),
    memory: new MessageMemory(),
  };
}

/** As many as requests are usually in progress at once. */
const SPARE_MAX = 256;

/** So many of them keep the memory that an upload had: 1 MiB at most. */
const BLOCKS_MAX = 32;
