import { parseAddress } from "../../core/address.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { isRoutingKey } from "../../core/routing-key.ts";
import type { KeysEvent } from "../../core/watch-events.ts";
import { isWorkloadName } from "../../core/workload.ts";
import type { ForkRoute } from "./decision.ts";

/**
 * Checks what a table file, control or a state file says before it becomes a table.
 *
 * Before: watch/apply.ts, watch/table-file.ts. After: routing/table.ts.
 * Invariant: nothing of a document that fails is used; the error names path, value and what is
 * allowed. Fields that are not known are left alone: a later control may send them.
 * Cold: once per change of the table.
 */

/** Keys that a table knows, and as many expired ones: five times what one control holds. */
export const TABLE_KEYS_MAX = 100_000;
/** Endpoints of one fork: a fork is one pod, or a few. */
export const ROUTE_ENDPOINTS_MAX = 64;
/** Workloads of one table: an edge or an outbound proxy knows those of a namespace. */
export const TABLE_WORKLOADS_MAX = 1_000;
/** Names and addresses of one workload: service names with their suffixes, pods and services. */
export const WORKLOAD_HOSTS_MAX = 256;
export const WORKLOAD_ADDRESSES_MAX = 4_096;

/** A table document whose every value was checked. */
export interface CheckedTable {
  readonly revision: string;
  readonly workloads: ReadonlyMap<string, CheckedWorkload>;
  readonly known: readonly string[];
  readonly expired: readonly string[];
}

/** One workload of it. */
export interface CheckedWorkload {
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
  readonly baseline: string | null;
  readonly routes: ReadonlyMap<string, ForkRoute>;
}

/** Checks a whole table, in its short form (`routes` of the own workload) or its long one. */
export function checkTable(document: unknown, ownWorkload: string): Result<CheckedTable, string> {
  return rooted(checkTableParts(document, ownWorkload));
}

function checkTableParts(document: unknown, ownWorkload: string): Result<CheckedTable, string> {
  if (!isObject(document)) return wrong("table", document, "an object");
  const revision = checkRevision(document["revision"]);
  if (!revision.ok) return revision;
  const workloads = checkWorkloads(document, ownWorkload);
  if (!workloads.ok) return workloads;
  const known = checkKeys(".known", document["known"] ?? []);
  if (!known.ok) return known;
  const expired = checkKeys(".expired", document["expired"] ?? []);
  if (!expired.ok) return expired;
  return ok({
    revision: revision.value,
    workloads: workloads.value,
    known: known.value,
    expired: expired.value,
  });
}

/** It is sent in response headers, so it has no character that would need quoting there. */
const REVISION = /^[A-Za-z0-9._-]{1,200}$/;

/** Checks a revision: text, or a whole number as people write it into a file. */
export function checkRevision(value: unknown): Result<string, string> {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) {
    return ok(String(value));
  }
  if (typeof value === "string" && REVISION.test(value)) return ok(value);
  return wrong("revision", value, "a whole number, or 1 to 200 of A-Z, a-z, 0-9, '.', '_' and '-'");
}

function checkWorkloads(
  document: Fields,
  ownWorkload: string,
): Result<ReadonlyMap<string, CheckedWorkload>, string> {
  const { routes, workloads } = document;
  if (routes === undefined && workloads === undefined) {
    return err('table: "routes" or "workloads" is missing; without forks write "routes": {}');
  }
  if (routes !== undefined && workloads !== undefined) {
    return err('table: "routes" and "workloads" are both there; "workloads" takes the routes, too');
  }
  if (workloads === undefined) {
    const own = checkWorkload({ routes });
    return own.ok ? ok(new Map([[ownWorkload, own.value]])) : own;
  }
  return checkEach(".workloads", workloads, TABLE_WORKLOADS_MAX, checkNamedWorkload);
}

function checkNamedWorkload(name: string, value: unknown): Result<CheckedWorkload, string> {
  const named = checkWorkloadName(name);
  return named.ok ? checkWorkload(value) : named;
}

/** Checks the name of a workload. */
export function checkWorkloadName(name: string): Result<string, string> {
  if (isWorkloadName(name)) return ok(name);
  return wrong("", name, "a workload: namespace/name, both DNS labels, as in shop/cart");
}

/** Checks what is said of one workload; the error's path is relative to it: `.routes["a"]...`. */
export function checkWorkload(value: unknown): Result<CheckedWorkload, string> {
  if (!isObject(value)) return wrong("", value, 'an object with "routes"');
  const routes = checkEach(".routes", value["routes"], TABLE_KEYS_MAX, checkRoute);
  if (!routes.ok) return routes;
  const hosts = checkList(".hosts", value["hosts"] ?? [], WORKLOAD_HOSTS_MAX, checkHost);
  if (!hosts.ok) return hosts;
  const addresses = checkList(
    ".addresses",
    value["addresses"] ?? [],
    WORKLOAD_ADDRESSES_MAX,
    checkWhere,
  );
  if (!addresses.ok) return addresses;
  const baseline = value["baseline"] ?? null;
  if (baseline !== null) {
    const endpoint = checkEndpoint(baseline);
    if (!endpoint.ok) return within(".baseline", endpoint);
  }
  return ok({
    hosts: hosts.value,
    addresses: addresses.value,
    baseline: baseline as string | null,
    routes: routes.value,
  });
}

/** Checks names and addresses of workloads, without routes: `{"shop/cart": {"hosts": [], ...}}`. */
export function checkPlaces(
  document: unknown,
): Result<ReadonlyMap<string, CheckedWorkload>, string> {
  return rooted(checkEach("", document, TABLE_WORKLOADS_MAX, checkNamedPlace));
}

function checkNamedPlace(name: string, value: unknown): Result<CheckedWorkload, string> {
  if (!isObject(value)) return wrong("", value, "an object with hosts, addresses or baseline");
  if (value["routes"] !== undefined) {
    return err(".routes: they come with the table; here stands only where a workload is");
  }
  return checkNamedWorkload(name, { ...value, routes: {} });
}

/** A sandbox is a label here, but it is compared and shown: printable, and not endless. */
const SANDBOX = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$/;

function checkRoute(key: string, value: unknown): Result<ForkRoute, string> {
  if (!isRoutingKey(key)) return wrong("", key, KEY_GRAMMAR);
  if (!isObject(value)) return wrong("", value, 'an object with "sandbox" and "endpoints"');
  const { sandbox, onUnavailable } = value;
  if (typeof sandbox !== "string" || !SANDBOX.test(sandbox)) {
    return wrong(".sandbox", sandbox, "a name of 1 to 253 letters, digits, '.', '_', '/' and '-'");
  }
  const endpoints = checkList(".endpoints", value["endpoints"], ROUTE_ENDPOINTS_MAX, checkEndpoint);
  if (!endpoints.ok) return endpoints;
  if (onUnavailable !== undefined && onUnavailable !== "fail" && onUnavailable !== "baseline") {
    return wrong(".onUnavailable", onUnavailable, '"fail" or "baseline"');
  }
  return ok({
    // Mostly the same text: then one string serves both.
    sandbox: sandbox === key ? key : sandbox,
    endpoints: endpoints.value,
    onUnavailable: onUnavailable === "baseline" ? "baseline" : "fail",
  });
}

function checkEndpoint(value: unknown): Result<string, string> {
  const address = parseAddress(typeof value === "string" ? value : "");
  if (address.ok && address.value.port > 0) return ok(value as string);
  return wrong("", value, "host:port, with a port from 1 to 65535");
}

/** A DNS name, with a port or without. Names are compared in lower case (RFC 4343). */
const HOST = /^[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?$/;

function checkHost(value: unknown): Result<string, string> {
  if (typeof value === "string" && HOST.test(value)) return ok(value);
  return wrong("", value, "a host name in lower case, as callers write it, with a port or without");
}

function checkWhere(value: unknown): Result<string, string> {
  if (typeof value === "string" && (isIpAddress(value) || isIpEndpoint(value))) return ok(value);
  return wrong("", value, "an IP address, or address:port");
}

function isIpEndpoint(text: string): boolean {
  const address = parseAddress(text);
  return address.ok && address.value.port > 0 && isIpAddress(address.value.host);
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;

/** `node:net` knows better, but nothing of Node is used here. */
function isIpAddress(text: string): boolean {
  if (IPV4.test(text)) return true;
  return /^[0-9A-Fa-f:.]{2,45}$/.test(text) && URL.canParse(`http://[${text}]/`);
}

/** Checks which keys came and went; one that came and went in one event has no last state. */
export function checkKeysEvent(value: unknown): Result<KeysEvent, string> {
  return rooted(checkKeyLists(value));
}

function checkKeyLists(value: unknown): Result<KeysEvent, string> {
  if (!isObject(value)) return wrong("keys", value, "an object with added, removed and expired");
  const added = checkKeys(".added", value["added"] ?? []);
  if (!added.ok) return added;
  const removed = checkKeys(".removed", value["removed"] ?? []);
  if (!removed.ok) return removed;
  const expired = checkKeys(".expired", value["expired"] ?? []);
  if (!expired.ok) return expired;
  const gone = new Set([...removed.value, ...expired.value]);
  for (const key of added.value) {
    if (gone.has(key)) return err(`keys: "${key}" is added and gone at once; say what it is now`);
  }
  return ok({ added: added.value, removed: removed.value, expired: expired.value });
}

const KEY_GRAMMAR = "a routing key: 3 to 40 of a-z, 0-9 and '-', no '-' at an end, no '--'";

function checkKeys(path: string, value: unknown): Result<readonly string[], string> {
  return checkList(path, value, TABLE_KEYS_MAX, checkKey);
}

function checkKey(value: unknown): Result<string, string> {
  return typeof value === "string" && isRoutingKey(value)
    ? ok(value)
    : wrong("", value, KEY_GRAMMAR);
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkEach<T>(
  path: string,
  value: unknown,
  countMax: number,
  check: (name: string, value: unknown) => Result<T, string>,
): Result<ReadonlyMap<string, T>, string> {
  if (!isObject(value)) return wrong(path, value, "an object");
  const names = Object.keys(value);
  if (names.length > countMax) return tooMany(path, names.length, countMax);
  const checked = new Map<string, T>();
  for (const name of names) {
    const item = check(name, value[name]);
    if (!item.ok) return within(`${path}[${shown(name)}]`, item);
    checked.set(name, item.value);
  }
  return ok(checked);
}

function checkList(
  path: string,
  value: unknown,
  countMax: number,
  check: (value: unknown) => Result<string, string>,
): Result<readonly string[], string> {
  if (!Array.isArray(value)) return wrong(path, value, "a list");
  if (value.length > countMax) return tooMany(path, value.length, countMax);
  const checked: string[] = [];
  for (let i = 0; i < value.length; i++) {
    const item = check(value[i]);
    if (!item.ok) return within(`${path}[${i}]`, item);
    checked.push(item.value);
  }
  // A list that has grown has room for 16 more: one of each fork would have it for good.
  return ok(checked.slice());
}

function tooMany(path: string, count: number, countMax: number): Result<never, string> {
  return err(`${path}: ${count} are given, at most ${countMax} are allowed`);
}

/** Puts the path of the whole before that of its part, which begins with its joint: `.x`, `[0]`. */
function within(path: string, part: { readonly error: string }): Result<never, string> {
  return err(`${path}${part.error}`);
}

/** The path of the outermost part has nothing to be joined to. */
function rooted<T>(checked: Result<T, string>): Result<T, string> {
  return checked.ok ? checked : err(checked.error.replace(/^\./, ""));
}

function wrong(path: string, value: unknown, allowed: string): Result<never, string> {
  return err(`${path}: ${shown(value)} is not ${allowed}`);
}

/** A value as JSON, cut: what is wrong may be wrong by its length. */
function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "a list" : "an object";
  return JSON.stringify(typeof value === "string" ? value.slice(0, 80) : value);
}
