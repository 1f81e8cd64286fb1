import type { Socket } from "node:net";
import { throwAgain } from "../../core/invariant.ts";
import type { Trailers } from "../message/field-list.ts";
import { socketFlow } from "../message/socket-flow.ts";
import { FLOW, type Flow } from "../message/stream.ts";
import { encodeLastChunk } from "./encode-head.ts";
import { Pieces } from "./pieces.ts";
import { leaveRoom, WAITING_BYTES_MAX, type WaitingWriter, waitForTurn } from "./write-turn.ts";

/**
 * Writes the messages of one connection: head, content with its framing, end; then opaque bytes.
 *
 * Before: either http1 connection. After: http1/write-turn.ts for a small message, then the socket.
 * Invariants: what is gathered refers to its pieces until flush(); from then on the answer says
 * whether somebody still does. Between two writes nothing is held, but for the socket. One message at most
 * waits for the end of the turn, and leaves before anything else does.
 * Hot path: a small message is one write of one buffer, so one system call.
 */
export class MessageWriter implements WaitingWriter {
  readonly #socket: Socket;
  readonly #owner: MessageWriterOwner;
  /** Null while nothing is gathered: a connection mostly waits, and lists take memory. */
  #gathered: Pieces | null = null;
  /** Where the head of the chunk being gathered goes, and its content so far; -1 between chunks. */
  #chunkAt = -1;
  #chunkBytes = 0;
  #sendsChunks = false;
  #hasGatheredHead = false;
  /** A copy of what was gathered, until the turn ends. */
  #waiting: Buffer | null = null;
  #hasWaitingHead = false;
  /** More waits in the socket than its limit; until drained() it takes no more. */
  isBlocked = false;

  constructor(socket: Socket, owner: MessageWriterOwner = NOBODY) {
    this.#socket = socket;
    this.#owner = owner;
  }

  /** Where the head of a message goes whose content is sent in chunks, or as it is. */
  head(sendsChunks: boolean): Pieces {
    this.#sendsChunks = sendsChunks;
    this.#hasGatheredHead = true;
    return this.#pieces;
  }

  get #pieces(): Pieces {
    this.#gathered ??= spare.pop() ?? new Pieces();
    return this.#gathered;
  }

  /** All that was gathered is with the socket. */
  #letGo(pieces: Pieces): void {
    pieces.clear();
    this.#gathered = null;
    this.#hasGatheredHead = false;
    if (spare.length < SPARE_MAX) spare.push(pieces);
  }

  /**
   * Gathers content. What is gathered between two writes is one chunk, however it came (RFC 9112
   * section 7.1): chunks of one byte would cost five more, here and upstream.
   */
  body(bytes: Buffer): void {
    if (this.#sendsChunks) {
      if (this.#chunkAt < 0) {
        this.#chunkAt = this.#pieces.count;
        this.#pieces.text("");
      }
      this.#chunkBytes += bytes.length;
    }
    this.#pieces.range(bytes, 0, bytes.length);
  }

  end(trailers: Trailers | null): void {
    if (!this.#sendsChunks) return;
    this.#endChunk();
    this.#pieces.text(encodeLastChunk(trailers));
  }

  /** Hands over what was gathered. */
  flush(): Flow {
    this.#endChunk();
    const pieces = this.#gathered;
    if (pieces === null || pieces.bytes === 0) return this.#told(socketFlow(this.#socket));
    this.writeWaiting();
    if (this.#mayWait(pieces.bytes)) return this.#wait(pieces);
    const isCoarse = pieces.bytes >= pieces.count * PIECE_BYTES_MIN;
    if (pieces.count === 1) return this.#writeOne(pieces);
    if (pieces.bytes > JOINED_BYTES_MAX && isCoarse) return this.#writeApart(pieces);
    const isMedium = pieces.bytes > WAITING_BYTES_MAX && pieces.bytes <= scratch.length;
    if (isMedium && this.#socket.writableLength === 0) return this.#writeOverScratch(pieces);
    // A copy: whoever the pieces belong to may have them back, wherever the copy is.
    const all = pieces.joined();
    this.#letGo(pieces);
    this.#socket.write(all);
    return this.#told(this.#socket.writableNeedDrain ? FLOW.BLOCKED : FLOW.FLUSHED);
  }

  /** Behind others that the kernel has not taken it would only wait longer, and it must never block. */
  #mayWait(bytes: number): boolean {
    const { writableLength, writableHighWaterMark } = this.#socket;
    return bytes <= WAITING_BYTES_MAX && writableLength === 0 && bytes < writableHighWaterMark;
  }

  /** A copy waits, so that whoever the pieces belong to may have them back. */
  #wait(pieces: Pieces): Flow {
    const room = waitForTurn(this, pieces.bytes);
    pieces.joinInto(room);
    this.#waiting = room;
    this.#hasWaitingHead = this.#hasGatheredHead;
    this.#letGo(pieces);
    return FLOW.FLUSHED;
  }

  /** Whether the head of the message in progress was gathered and not handed over yet: nobody has a byte of it. */
  get isHeadGathered(): boolean {
    return this.#hasGatheredHead;
  }

  /** Forgets what was gathered and not handed over. */
  dropGathered(): void {
    this.#chunkAt = -1;
    this.#chunkBytes = 0;
    if (this.#gathered !== null) this.#letGo(this.#gathered);
  }

  /** Whether anything waits for the end of the turn. */
  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  /** Whether the head of the message in progress does: the other side has no byte of it. */
  get isHeadWaiting(): boolean {
    return this.#waiting !== null && this.#hasWaitingHead;
  }

  /** Hands over the message that waits, if one does. */
  writeWaiting(): void {
    const bytes = this.#waiting;
    if (bytes === null) return;
    this.#waiting = null;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > 0) leaveRoom(bytes);
  }

  /** It is met at the end of a turn, where none of the connection's own events is. */
  failed(bug: unknown): void {
    this.#owner.onWriterBug(bug);
  }

  /** Forgets the message that waits: nobody is there for it. */
  dropWaiting(): void {
    this.#waiting = null;
  }

  /**
   * Writes a copy in the one buffer that all connections use for this, in turn: memory of this size that
   * is new for each message keeps the garbage collector busy. If the kernel has not taken all of it the
   * buffer stays with the socket, and there is another one from then on: at most one for each connection,
   * whose queue was empty before.
   */
  #writeOverScratch(pieces: Pieces): Flow {
    const { bytes } = pieces;
    pieces.joinInto(scratch);
    this.#letGo(pieces);
    this.#socket.write(scratch.subarray(0, bytes));
    if (socketFlow(this.#socket) !== FLOW.FLUSHED) scratch = newScratch();
    return this.#told(this.#socket.writableNeedDrain ? FLOW.BLOCKED : FLOW.FLUSHED);
  }

  /** Writes bytes of a tunnel. */
  opaque(bytes: Buffer): Flow {
    this.writeWaiting();
    return this.#writeAlone(bytes);
  }

  /** The socket is empty again; true if that is news. */
  drained(): boolean {
    const wasBlocked = this.isBlocked;
    this.isBlocked = false;
    return wasBlocked;
  }

  #endChunk(): void {
    if (this.#chunkAt < 0) return;
    this.#pieces.fill(this.#chunkAt, `${this.#chunkBytes.toString(16)}\r\n`);
    this.#pieces.text(CHUNK_END);
    this.#chunkAt = -1;
    this.#chunkBytes = 0;
  }

  /** Large pieces as they are, the small ones between them joined. */
  #writeApart(pieces: Pieces): Flow {
    this.#socket.cork();
    let from = 0;
    for (let i = 0; i < pieces.count; i++) {
      if (pieces.size(i) < APART_BYTES_MIN) continue;
      if (from < i) this.#socket.write(pieces.joined(from, i));
      this.#write(pieces.piece(i));
      from = i + 1;
    }
    if (from < pieces.count) this.#socket.write(pieces.joined(from, pieces.count));
    this.#letGo(pieces);
    this.#socket.uncork();
    return this.#told(socketFlow(this.#socket));
  }

  #writeOne(pieces: Pieces): Flow {
    const piece = pieces.piece(0);
    this.#letGo(pieces);
    return this.#writeAlone(piece);
  }

  /** A small piece behind others that wait is copied: it would hold all of what it was read with. */
  #writeAlone(piece: Buffer | string): Flow {
    const isHeld = typeof piece !== "string" && this.#socket.writableLength > 0;
    if (!isHeld || piece.length >= APART_BYTES_MIN) {
      this.#write(piece);
      return this.#told(socketFlow(this.#socket));
    }
    this.#write(Buffer.from(piece));
    return this.#told(this.#socket.writableNeedDrain ? FLOW.BLOCKED : FLOW.FLUSHED);
  }

  /** A character of text is a byte: what Node does by default would make two of one past ASCII. */
  #write(piece: Buffer | string): void {
    if (typeof piece === "string") this.#socket.write(piece, "latin1");
    else this.#socket.write(piece);
  }

  #told(flow: Flow): Flow {
    if (flow === FLOW.BLOCKED) this.isBlocked = true;
    return flow;
  }
}

/** Whose messages they are: the connection. */
export interface MessageWriterOwner {
  /** The message that waited could not be handed over, by a bug of ours. */
  onWriterBug(bug: unknown): void;
}

const NOBODY: MessageWriterOwner = { onWriterBug: throwAgain };

/** Lists that no connection uses now: one is enough, but for those that wait for the rest of a message. */
const spare: Pieces[] = [];
const SPARE_MAX = 16;

const CHUNK_END = "\r\n";

/** Up to here copying costs less than a write of several buffers (`npm run bench:compare`, small bodies). */
const JOINED_BYTES_MAX = 48 * 1024;

let scratch = newScratch();

function newScratch(): Buffer {
  return Buffer.allocUnsafeSlow(JOINED_BYTES_MAX);
}

/** From here on a piece is written as it is. */
const APART_BYTES_MIN = 4 * 1024;

/** Pieces that are smaller on average are joined, however many: each write holds far more than itself. */
const PIECE_BYTES_MIN = 512;
