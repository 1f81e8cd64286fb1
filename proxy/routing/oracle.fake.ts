import type { Decision, ForkRoute, Reason } from "./decision.ts";

/**
 * Reading and deciding once more, as plainly as design and README say it: the oracle of the
 * property tests. It shares no code with the room that it judges, and is slow.
 */

/** A request, in words. */
export interface PlainRequest {
  /** The lines of the header `baggage`, then those of `forklane-key`. */
  readonly baggage: readonly string[];
  readonly header: readonly string[];
}

/** A table, in words. */
export interface PlainTable {
  readonly state: "unknown" | "current" | "stale";
  readonly routes: Readonly<Record<string, ForkRoute>>;
  readonly known: readonly string[];
  readonly expired: readonly string[];
}

/** A tag, in words: `null` names stand for a tag that cannot be read. */
export interface PlainTag {
  readonly names: readonly string[] | null;
  readonly strict: boolean;
  readonly ambiguous: boolean;
}

/** Reads the default carriers. */
export function plainTag(request: PlainRequest): PlainTag | null {
  const isTag = (item: string) => memberName(item) === "sandbox";
  return (
    plainList(request.baggage, isTag, memberValue) ??
    plainList(
      request.header,
      () => true,
      (item) => item,
    )
  );
}

/** The first 8,192 bytes and 64 members count, whatever the header; our own marks are none of them. */
function plainList(
  lines: readonly string[],
  isTag: (item: string) => boolean,
  readItem: (item: string) => string,
): PlainTag | null {
  const counted: string[] = [];
  const uncounted: string[] = [];
  let bytes = -1;
  let count = 0;
  for (const raw of lines.join(",").split(",")) {
    const item = trim(raw);
    const name = memberName(item);
    if (item === "") continue;
    if (name !== "forklane-hop" && name !== "forklane-run") {
      bytes += raw.length + 1;
      count++;
    }
    if (isTag(item)) (bytes <= 8192 && count <= 64 ? counted : uncounted).push(readItem(item));
  }
  return combine(counted, uncounted);
}

/** Decides at a workload. */
export function plainDecision(table: PlainTable, tag: PlainTag | null): Decision {
  if (tag === null) return baseline("no-key", null);
  const first = tag.names?.[0] ?? null;
  if (tag.strict && tag.ambiguous) return refused("tag-ambiguous", 400, first);
  if (tag.names === null) {
    return tag.strict ? refused("tag-unreadable", 400, null) : baseline("tag-unreadable", null);
  }
  if (table.state === "unknown") {
    return tag.strict ? refused("table-unknown", 503, first) : baseline("table-unknown", first);
  }
  const live = new Set([...table.known, ...Object.keys(table.routes)]);
  const dead = tag.names.filter((name) => !live.has(name.replace(/\.base$/, "")))[0];
  const isExpired = dead !== undefined && table.expired.includes(dead.replace(/\.base$/, ""));
  if (tag.strict && dead !== undefined) {
    if (isExpired) return refused("expired", 424, dead);
    if (table.state === "stale") return refused("table-stale", 503, dead);
    return refused("unknown-key", 424, dead);
  }
  const forking = tag.names.filter((name) => Object.hasOwn(table.routes, name));
  const winner = forking[0];
  const route = winner === undefined ? undefined : table.routes[winner];
  if (winner !== undefined && route !== undefined) {
    const loser = forking.find((name) => table.routes[name]?.sandbox !== route.sandbox) ?? null;
    return toFork(winner, route, loser);
  }
  if (dead === undefined) return baseline("not-forked", first);
  return baseline(isExpired ? "expired" : "unknown-key", dead);
}

function toFork(key: string, route: ForkRoute, collision: string | null): Decision {
  if (route.endpoints.length > 0) {
    return { outcome: "fork", reason: "fork", status: 0, key, route, collision };
  }
  return route.onUnavailable === "baseline"
    ? { outcome: "baseline", reason: "fork-down", status: 0, key, route, collision }
    : { outcome: "refused", reason: "fork-down", status: 503, key, route, collision };
}

function baseline(reason: Reason, key: string | null): Decision {
  return { outcome: "baseline", reason, status: 0, key, route: null, collision: null };
}

function refused(reason: Reason, status: number, key: string | null): Decision {
  return { outcome: "refused", reason, status, key, route: null, collision: null };
}

/** The last one wins, those past the limits never; 64 of them are looked at, and more are strict. */
function combine(counted: readonly string[], uncounted: readonly string[]): PlainTag | null {
  const read = (values: readonly string[]) => values.map(plainValue).filter((tag) => tag !== null);
  const winners = read(counted);
  const past = read(uncounted.slice(0, 64));
  const all = [...winners, ...past];
  const isCut = uncounted.length > 64;
  if (all.length === 0 && !isCut) return null;
  const strict = isCut || all.some((tag) => tag.strict);
  const isOne = !isCut && new Set(all.map((tag) => tag.identity)).size === 1;
  const winner = winners.at(-1);
  return { names: winner?.names ?? null, strict, ambiguous: !isOne };
}

interface PlainValue {
  readonly names: readonly string[] | null;
  readonly strict: boolean;
  /** What two tags must share to say the same. */
  readonly identity: string;
}

function plainValue(text: string): PlainValue | null {
  const [encoded = "", ...outer] = text.split(";");
  const [padded = "", ...inner] = decoded(encoded).split(";");
  const value = trim(padded);
  const hasProperty = [...outer, ...inner].some(
    (property) => trim(property.split("=")[0] ?? "") === "strict",
  );
  if (value === "" && !hasProperty) return null;
  const names = value.replace(/!$/, "").split("~");
  const isReadable = names.length <= 4 && names.every(isName);
  const strict = hasProperty || (isReadable ? value.endsWith("!") : value.includes("!"));
  const marked = hasProperty && !value.endsWith("!") ? `${value.slice(0, 199)}!` : value;
  const shown = marked.slice(0, 200).replace(/[^ -~]/g, "?");
  return { names: isReadable ? names : null, strict, identity: `${strict} ${shown}` };
}

/** What a tag may name: a key, or the control arm of one. */
function isName(name: string): boolean {
  const key = name.replace(/\.base$/, "");
  return (
    key.length >= 3 &&
    key.length <= 40 &&
    [...key].every((char) => "abcdefghijklmnopqrstuvwxyz0123456789-".includes(char)) &&
    !key.startsWith("-") &&
    !key.endsWith("-") &&
    !key.includes("--")
  );
}

function memberName(member: string): string {
  return trim(member.split(/[=;]/, 1)[0] ?? "");
}

function memberValue(member: string): string {
  const nameEnd = member.search(/[=;]|$/);
  return member[nameEnd] === "=" ? member.slice(nameEnd + 1) : member.slice(nameEnd);
}

function decoded(text: string): string {
  return text
    .split(/(%[0-9A-Fa-f]{2})/)
    .map((part, i) => (i % 2 === 1 ? String.fromCharCode(Number(`0x${part.slice(1)}`)) : part))
    .join("");
}

function trim(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, "");
}
