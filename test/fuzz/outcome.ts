/** What a parser makes of an input, in the same words whoever parsed it. */

/** One message. Bytes are characters (latin1). */
export interface Message {
  /** The method of a request, or the status of a response. */
  readonly what: string;
  /** The request target as received; empty in a response. */
  readonly target: string;
  readonly minorVersion: number;
  /** Names as received, and values without white space around them: `[name, value, ...]`. */
  readonly fields: readonly string[];
  /** How the end of the body is found: `none`, `length 5`, `chunked`, `until-close`. */
  readonly framing: string;
  body: string;
  trailers: readonly string[];
  /** Whether another message may follow on the connection. */
  readonly keepsAlive: boolean;
  /** Offset behind the message's last byte; -1 where the parser does not say. */
  end: number;
}

/**
 * How reading ended: `clean` behind a whole message, `cut` within one, `closed` where what follows is
 * not read, `tunnel` where it is no HTTP any more; else the code of the fault.
 */
export interface Outcome {
  readonly messages: readonly Message[];
  readonly end: string;
  /** The message that is not whole, with the body so far; null where its head is not whole either. */
  readonly unfinished: Message | null;
}

/** An outcome in words; two that say the same are the same. */
export function outcomeText(outcome: Outcome): string {
  const lines = outcome.messages.map(messageText);
  if (outcome.unfinished !== null) lines.push(`unfinished ${messageText(outcome.unfinished)}`);
  lines.push(outcome.end);
  return lines.join("\n");
}

/** One message in words, on one line. */
export function messageText(message: Message): string {
  const { what, target, minorVersion, fields, framing, body, trailers, keepsAlive, end } = message;
  const alive = keepsAlive ? "keeps" : "closes";
  return (
    `${what} ${target} 1.${minorVersion} [${fields.join("|")}] ${framing} "${body}"` +
    ` [${trailers.join("|")}] ${alive} ${end}`
  );
}

/** The values of the fields with this lower-case name, in order. */
export function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === name);
}
