import { type Input, methodOf } from "./input.ts";
import type { NodeOutcome } from "./llhttp.ts";
import type { Message, Outcome } from "./outcome.ts";

/** The first place where we and Node's parser take an input otherwise. */
export interface Difference {
  /**
   * `read-otherwise`: both took the message, not as the same one. `node-refuses`: what we took.
   * `node-accepts`: what we refused. `node-waits`: we refused what Node has not seen the end of.
   * `node-refuses-sooner`: we wait for the end. `node-finishes`: what we hold unfinished.
   * `ends-otherwise`: the same messages, and another end of the connection behind them.
   */
  readonly kind:
    | "read-otherwise"
    | "node-refuses"
    | "node-accepts"
    | "node-waits"
    | "node-refuses-sooner"
    | "node-finishes"
    | "ends-otherwise";
  readonly input: Input;
  /** The bytes from where the message begins. */
  readonly text: string;
  /** Our end, and Node's. */
  readonly ours: string;
  readonly node: string;
  /** The method that the message answers; for requests nothing is meant by it. */
  readonly method: string;
  /** The message before, which both took as the same one. */
  readonly before: Message | null;
  /** The message as we read it, and as Node did; whole or not; null where there is none. */
  readonly ourMessage: Message | null;
  readonly nodeMessage: Message | null;
  /** For `read-otherwise`: in what. */
  readonly parts: readonly Part[];
  /** The bytes of the message up to the one that Node refused; all of them where it did not. */
  readonly refusedText: string;
}

type Part = "what" | "target" | "minorVersion" | "fields" | "body" | "trailers" | "keepsAlive";

/** Compares two outcomes of one input; null if they are the same. */
export function differenceOf(input: Input, ours: Outcome, node: NodeOutcome): Difference | null {
  const count = ours.messages.length;
  for (const [i, ourMessage] of ours.messages.entries()) {
    const nodeMessage = node.messages[i] ?? null;
    const at = differenceAt(input, ours, node, i);
    if (nodeMessage === null) {
      const kind = isRefusal(node.end) ? "node-refuses" : "ends-otherwise";
      return at(kind, ourMessage, node.unfinished);
    }
    const parts = partsOf(ourMessage, nodeMessage);
    if (parts.length > 0) return at("read-otherwise", ourMessage, nodeMessage, parts);
  }
  const next = node.messages[count] ?? null;
  const hasMore = (ours.messages.at(-1)?.end ?? 0) < input.text.length;
  // Whether a tunnel was opened is to be seen by the bytes behind it alone.
  if (ours.end === "tunnel" && !hasMore && next === null) return null;
  const kind = kindOfEnd(ours, node, next);
  if (kind === null) return unfinishedDifference(input, ours, node);
  const at = differenceAt(input, ours, node, ours.messages.length);
  return at(kind, ours.unfinished, next ?? node.unfinished);
}

type Differ = (
  kind: Difference["kind"],
  ourMessage: Message | null,
  nodeMessage: Message | null,
  parts?: readonly Part[],
) => Difference;

/** `index`: that of the message. */
function differenceAt(input: Input, ours: Outcome, node: NodeOutcome, index: number): Differ {
  const before = ours.messages[index - 1] ?? null;
  const start = before?.end ?? 0;
  const refusedAt = node.refusedAt < 0 ? input.text.length : node.refusedAt;
  return (kind, ourMessage, nodeMessage, parts = []) => ({
    kind,
    input,
    text: input.text.slice(start),
    ours: ours.end,
    node: node.end,
    method: methodOf(input, finalsOf(ours.messages.slice(0, index))),
    before,
    ourMessage,
    nodeMessage,
    parts,
    refusedText: input.text.slice(start, refusedAt + 1),
  });
}

function partsOf(ours: Message, node: Message): Part[] {
  return PARTS.filter((part) => String(ours[part]) !== String(node[part]));
}

const PARTS: readonly Part[] = [
  "what",
  "target",
  "minorVersion",
  "fields",
  "body",
  "trailers",
  "keepsAlive",
];

/** Behind the messages that both read: null if both end in the same way. */
function kindOfEnd(
  ours: Outcome,
  node: NodeOutcome,
  next: Message | null,
): Difference["kind"] | null {
  switch (ours.end) {
    case "cut":
      if (next !== null) return "node-finishes";
      if (isRefusal(node.end)) return "node-refuses-sooner";
      return node.end === "cut" ? null : "ends-otherwise";
    case "clean":
    case "tunnel":
      return node.end === ours.end && next === null ? null : "ends-otherwise";
    case "closed": {
      const isClosed = node.end === "clean" || node.end === "HPE_CLOSED_CONNECTION";
      return isClosed && next === null ? null : "ends-otherwise";
    }
    default:
      if (next !== null) return "node-accepts";
      return isRefusal(node.end) ? null : "node-waits";
  }
}

/** What was passed on of a message before its end is the same too. */
function unfinishedDifference(input: Input, ours: Outcome, node: NodeOutcome): Difference | null {
  if (ours.end !== "cut" || ours.unfinished === null || node.unfinished === null) return null;
  const parts = partsOf(ours.unfinished, node.unfinished);
  if (parts.length === 0) return null;
  const at = differenceAt(input, ours, node, ours.messages.length);
  return at("read-otherwise", ours.unfinished, node.unfinished, parts);
}

function finalsOf(messages: readonly Message[]): number {
  return messages.filter(({ what }) => !what.startsWith("1")).length;
}

function isRefusal(end: string): boolean {
  return end.startsWith("HPE_");
}
