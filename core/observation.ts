/**
 * What a proxy saw of the tag on a request that came without one, or with one that was damaged.
 *
 * Observations exist only while control has announced a run of the kind `propagation`. They hold no
 * value of any baggage member, only what became of ours.
 */
export const TAG_STATES = [
  /** No baggage at all. */
  "absent",
  /** Baggage is there, and nothing of ours in it. */
  "other-baggage",
  /** Our mark, or a piece of it, is there; the tag behind it is cut or gone. */
  "truncated",
  /** The tag stands in `correlation-context`, where this proxy does not read it. */
  "correlation-context",
  /** A tag that makes no key. */
  "unreadable",
  /** The tag can be read, and a member that was percent-encoded came decoded. */
  "percent-decoded",
  /** Two tags that say different things. */
  "duplicated",
  /** Legal, and read: white space around `=` (.NET 10). */
  "spaces",
] as const;

/** What became of the tag. The first five are losses; the others come with a tag that was read. */
export type TagState = (typeof TAG_STATES)[number];

/** One exchange as one proxy saw it. */
export interface Observation {
  readonly v: 1;
  readonly kind: "observation";
  readonly state: TagState;
  /** When the request head was read, in milliseconds since the Unix epoch; and how long it took. */
  readonly timeMs: number;
  readonly totalMs: number;
  readonly workload: string;
  /** Instance of the proxy that reports. */
  readonly proxy: string;
  /** The sandbox whose fork the proxy stands next to; null next to a baseline. */
  readonly sandbox: string | null;
  /** IP address of who connected; null where it is not known. */
  readonly caller: string | null;
  readonly method: string;
  /** `user-agent`, printable ASCII, at most CLIENT_CHARS_MAX characters; null without one. */
  readonly client: string | null;
  /** 32 lower-case hex characters where the request carried a trace id. */
  readonly traceId: string | null;
  /** The mark that the request still carried: its root, and the hop that caused it; else null. */
  readonly root: string | null;
  readonly parent: string | null;
  /** This exchange's own hop, where it was taken for a tagged one; else null. */
  readonly hop: string | null;
}

/** Longest `client` of an observation. */
export const CLIENT_CHARS_MAX = 100;

/**
 * A member that the doctor puts beside the tag: who decodes a whole header turns its commas into
 * new members, and shows itself by that.
 */
export const CANARY_MEMBER = "forklane-canary";
export const CANARY_VALUE = "1%2C2%2C3";

/** Longest window in which proxies observe, in milliseconds. */
export const OBSERVE_MS_MAX = 5 * 60_000;
