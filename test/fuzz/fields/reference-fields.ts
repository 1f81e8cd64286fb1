/**
 * The same once more, as plainly as the standards and design say it; of tags what the oracle of
 * proxy/routing says. It shares no code with what it is held against, and is slow.
 */
import { isIP } from "node:net";
import { plainTag } from "../../../proxy/routing/oracle.fake.ts";
import { documentOf, linesOf, pairsOf } from "./read-fields.ts";

export function readFieldsByReference(text: string): string {
  const pairs = pairsOf(text);
  const values = (name: string) =>
    pairs.filter((_, i) => i % 2 === 1 && pairs[i - 1]?.toLowerCase() === name);
  const first = (name: string) => values(name)[0] ?? "";
  return linesOf({
    tag: plainTag({ baggage: values("baggage"), header: values("forklane-key") }),
    hop: hopOf(values("baggage")),
    trace:
      traceparent(first("traceparent")) ??
      hexId(first("b3").split("-")[0] ?? "", [16, 32]) ??
      hexId(first("x-b3-traceid"), [16, 32]) ??
      decimalId(first("x-datadog-trace-id")) ??
      hexId(first("uber-trace-id").split(/:|%3A|%3a/)[0] ?? "", UP_TO_32),
    options: options(values("connection")),
    lists: values("baggage").map(listsOf),
    hosts: values("host").map(keyedHost),
    cookies: values("cookie").map(cookieOf),
    forwardedFor: forwardedFor(values("x-forwarded-for")),
    isLoop: values("forklane-via").some((value) =>
      value.split(",").some((entry) => entry.replace(/^[^;]*;/, "").trim() === "me"),
    ),
    maxForwards: maxForwards(values("max-forwards")),
  });
}

function trim(text: string): string {
  return text.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");
}

/** W3C Baggage section 3.2: `key OWS "=" OWS value *( OWS ";" OWS property )`. */
function memberName(member: string): string {
  return trim(member.split(/[=;]/)[0] ?? "");
}

/** What a tracer that decodes names, and trims them of any blank, takes the name for. */
function takenFor(member: string): string {
  const [raw = ""] = member.split(/[=;]/);
  if (memberName(member) === trim(raw) && /^[!-$&-*,-~]*$/.test(trim(raw))) return trim(raw);
  const chars = [...decodeLatin1(raw.split("+").join(" "))];
  const isBlank = (char = "") => char <= " " || char === "\u0085" || char === "\u00a0";
  while (chars.length > 0 && isBlank(chars[0])) chars.shift();
  while (chars.length > 0 && isBlank(chars.at(-1))) chars.pop();
  return chars.join("");
}

function decodeLatin1(text: string): string {
  const [first = "", ...rest] = text.split("%");
  const decoded = rest.map((part) =>
    /^[0-9A-Fa-f]{2}/.test(part)
      ? String.fromCharCode(Number.parseInt(part.slice(0, 2), 16)) + part.slice(2)
      : `%${part}`,
  );
  return first + decoded.join("");
}

function memberValue(member: string): string {
  return trim(member.replace(/^[^=;]*=?/, ""));
}

function listsOf(value: string): unknown {
  const members = value.split(",");
  const sandboxes = members.filter((member) => memberName(member) === "sandbox");
  const last = sandboxes.at(-1);
  const without = (...names: readonly string[]) =>
    members.filter((member) => !names.includes(memberName(member)));
  const others = without("forklane-hop");
  const rest = others.length === members.length ? value : others.join(",");
  const isNothing = others.length === members.length ? value === "" : trim(rest) === "";
  const kept = members.filter((each) => !["sandbox", "forklane-hop"].includes(takenFor(each)));
  return [
    last === undefined ? null : memberValue(last),
    isNothing ? "forklane-hop=x.y" : `forklane-hop=x.y,${rest}`,
    kept.length === members.length ? value : trim(kept.join(",")),
  ];
}

function hopOf(lines: readonly string[]): unknown {
  const marks = lines
    .flatMap((line) => line.split(","))
    .filter((member) => memberName(member) === "forklane-hop")
    .map((member) => trim(memberValue(member).split(";")[0] ?? "").split("."))
    .filter((ids) => ids.length === 2 && ids.every((id) => /^[0-9a-f]{16}$/.test(id)));
  const last = marks.at(-1);
  return last === undefined ? null : { root: last[0], hop: last[1] };
}

/** W3C Trace Context section 3.2. */
function traceparent(text: string): string | null {
  const [version = "", id = "", span = "", flags = "", ...more] = text.split("-");
  const hexes: readonly [string, number][] = [
    [version, 2],
    [id, 32],
    [span, 16],
    [flags, 2],
  ];
  if (hexes.some(([hex, length]) => hex.length !== length || /[^0-9a-f]/.test(hex))) return null;
  if (version === "ff" || (version === "00" && more.length > 0)) return null;
  return isZero(id) || isZero(span) ? null : id;
}

function isZero(digits: string): boolean {
  return /^0*$/.test(digits);
}

const UP_TO_32 = Array.from({ length: 32 }, (_, i) => i + 1);

function hexId(text: string, lengths: readonly number[]): string | null {
  if (!lengths.includes(text.length) || /[^0-9a-fA-F]/.test(text) || isZero(text)) return null;
  return text.toLowerCase().padStart(32, "0");
}

function decimalId(text: string): string | null {
  if (text === "" || text.length > 20 || /[^0-9]/.test(text)) return null;
  const id = BigInt(text);
  return id === 0n || id >= 2n ** 64n ? null : id.toString(16).padStart(32, "0");
}

/** RFC 9110 section 7.6.1; no more than ten are read. */
function options(lines: readonly string[]): string[] {
  const all = lines.join(",").split(",").map(trim);
  return all
    .filter((option) => option !== "")
    .slice(0, 10)
    .map((option) => option.toLowerCase());
}

/** `<key>--<host>`, split at the last `--` of the first label. */
function keyedHost(host: string): unknown {
  const label = host.split(/[.:]/)[0] ?? "";
  const parts = label.split(/--(?!.*--)(?!-)/);
  const key = (parts[0] ?? "").toLowerCase();
  if (parts.length < 2 || !isKey(key)) return null;
  const rest = host.slice(key.length + 2);
  return /^[A-Za-z0-9]/.test(rest) ? { key, host: rest } : null;
}

function isKey(text: string): boolean {
  return /^[a-z0-9-]{3,40}$/.test(text) && !/^-|-$|--/.test(text);
}

/** The first cookie of the name that says anything counts, read as a plain header of one item is. */
function cookieOf(value: string): unknown {
  for (const pair of value.split(";").map(trim)) {
    if (!pair.startsWith("forklane-key=")) continue;
    const text = pair.slice("forklane-key=".length).replace(/^"(.*)"$/, "$1");
    // A comma would be a list in a header; here it is a byte that is in no key.
    const tag = plainTag({ baggage: [], header: [text.replaceAll(",", "?")] });
    if (tag === null) continue;
    return { isSafe: true, kind: tag.names === null ? "unreadable" : "keys", strict: tag.strict };
  }
  return null;
}

function forwardedFor(lines: readonly string[]): string[] {
  const last = lines.at(-1);
  if (last === undefined) return ["10.0.0.7"];
  return [...lines.slice(0, -1), last === "" ? "10.0.0.7" : `${last}, 10.0.0.7`];
}

/** RFC 9110 section 7.6.2. Ours: a larger count than ten digits hold becomes that. */
function maxForwards(lines: readonly string[]): unknown {
  const isCount = (line: string) => line !== "" && !/[^0-9]/.test(line);
  if (lines.some((line) => isCount(line) && isZero(line))) return "forwards-used-up";
  return lines.map((line) =>
    isCount(line) ? String(Math.min(Number(line) - 1, 9_999_999_999)) : line,
  );
}

/** Whether a table may be taken, by the words of proxy/README.md and control's API. */
export function readTableByReference(text: string): string {
  return isTable(documentOf(text)) ? "taken" : "refused";
}

function isTable(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { revision, routes, workloads, known = [], expired = [] } = value;
  const isRevision =
    (typeof revision === "string" && /^[\w.-]{1,200}$/.test(revision)) ||
    (Number.isSafeInteger(revision) && Number(revision) >= 0);
  const isLong = workloads !== undefined;
  if (!isRevision || isLong === (routes !== undefined)) return false;
  const isFilled = isLong
    ? isObject(workloads) && Object.entries(workloads).every(isNamedWorkload)
    : isWorkload({ routes });
  return isFilled && isList(known ?? [], isKeyValue) && isList(expired ?? [], isKeyValue);
}

function isNamedWorkload([name, value]: readonly [string, unknown]): boolean {
  const labels = name.split("/");
  const isLabel = (label: string) => /^[a-z0-9-]{1,63}$/.test(label) && !/^-|-$/.test(label);
  return labels.length === 2 && labels.every(isLabel) && isWorkload(value);
}

function isWorkload(value: unknown): boolean {
  if (!isObject(value) || !isObject(value["routes"])) return false;
  const { hosts, addresses, baseline } = value;
  return (
    Object.entries(value["routes"]).every(([key, route]) => isKey(key) && isRoute(route)) &&
    isList(hosts ?? [], isHost) &&
    isList(addresses ?? [], isWhere) &&
    ((baseline ?? null) === null || isEndpoint(baseline))
  );
}

function isRoute(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { sandbox, endpoints, onUnavailable } = value;
  const isName = typeof sandbox === "string" && /^[A-Za-z0-9._/-]{1,253}$/.test(sandbox);
  const isEnded = isName && /^[A-Za-z0-9]/.test(sandbox) && /[A-Za-z0-9]$/.test(sandbox);
  const isPolicy = [undefined, "fail", "baseline"].includes(onUnavailable as undefined);
  return isEnded && isList(endpoints, isEndpoint) && isPolicy;
}

function isEndpoint(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const parts = /^(?:\[(.+)\]|([^:]+)):([0-9]{1,5})$/.exec(value);
  if (parts === null || Number(parts[3]) < 1 || Number(parts[3]) > 65_535) return false;
  const [, bracketed, plain] = parts;
  if (bracketed?.includes(":")) return /^[0-9a-fA-F:.]{1,255}$/.test(bracketed);
  const name = bracketed ?? plain ?? "";
  return (
    /^[A-Za-z0-9._-]{1,255}$/.test(name) && /^[A-Za-z0-9]/.test(name) && /[A-Za-z0-9]$/.test(name)
  );
}

function isWhere(value: unknown): boolean {
  if (typeof value !== "string") return false;
  if (isIP(value) > 0) return !value.includes("%");
  const host = /^\[?(.*?)\]?:[0-9]+$/.exec(value)?.[1] ?? "";
  return isEndpoint(value) && isIP(host) > 0;
}

function isHost(value: unknown): boolean {
  if (typeof value !== "string") return false;
  const [name = "", ...ports] = value.split(":");
  const isName = /^[a-z0-9._-]{1,253}$/.test(name) && !/^[._-]|[._-]$/.test(name);
  return isName && ports.length <= 1 && ports.every((port) => /^[0-9]{1,5}$/.test(port));
}

function isKeyValue(value: unknown): boolean {
  return typeof value === "string" && isKey(value);
}

function isList(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
