/**
 * Turns what a client wrote into a spec: whole, with defaults, in one order of properties.
 *
 * Before: schema/ (shape and sizes). After: store/store.ts.
 * Invariant: what is stored was checked here; nothing after it looks at a name or address again.
 */
import { formatAddress, parseAddress } from "../../core/address.ts";
import type { Networks } from "../../core/networks.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { isRoutingKey } from "../../core/routing-key.ts";
import { isDnsLabel, isWorkloadName } from "../../core/workload.ts";
import { parseDuration } from "./duration.ts";
import type { Fork } from "./fork.ts";
import { isLabelKey, isLabelValue, parseLabelSelector } from "./label-selector.ts";
import { CONTROL_LIMITS } from "./limits.ts";
import type { RouteGroupBody, RouteGroupSpec } from "./route-group.ts";
import type { SandboxBody, SandboxSpec, Ttl } from "./sandbox.ts";

/** One thing that is wrong with a body. */
export interface BodyError {
  /** Where: a JSON pointer (RFC 6901), such as `/forks/0/endpoints/1`. */
  readonly path: string;
  /** What is wrong and what is allowed. */
  readonly message: string;
}

/** Where endpoints may lie. */
export interface EndpointRules {
  readonly allowed: Networks;
  /** Refused even where `allowed` has them: link-local, where clouds keep their credentials. */
  readonly never: Networks;
}

/** Link-local addresses (RFC 3927, RFC 4291 section 2.5.6). */
export const LINK_LOCAL: readonly string[] = ["169.254.0.0/16", "fe80::/10"];

/** Makes the spec of a sandbox, or says everything that is wrong; `routingKey` is the one it gets if it names none. */
export function validateSandbox(
  name: string,
  body: SandboxBody,
  routingKey: string,
  rules: EndpointRules,
): Result<SandboxSpec, BodyError[]> {
  const errors: BodyError[] = [];
  checkName(name, body.name, errors);
  const spec: SandboxSpec = {
    forks: readForks(body.forks, rules, errors),
    routingKey: readRoutingKey(body.routingKey ?? routingKey, errors),
    labels: readLabels(body.labels ?? {}, errors),
    onUnavailable: body.onUnavailable ?? "fail",
    ttl: readTtl(body.ttl ?? {}, errors),
  };
  return errors.length === 0 ? ok(spec) : err(errors);
}

/** Makes the spec of a route group, or says everything that is wrong. */
export function validateRouteGroup(
  name: string,
  body: RouteGroupBody,
  routingKey: string,
): Result<RouteGroupSpec, BodyError[]> {
  const errors: BodyError[] = [];
  checkName(name, body.name, errors);
  const spec: RouteGroupSpec = {
    sandboxes: readMembers(body.sandboxes ?? [], errors),
    labelSelector: readSelector(body.labelSelector ?? null, errors),
    routingKey: readRoutingKey(body.routingKey ?? routingKey, errors),
    labels: readLabels(body.labels ?? {}, errors),
    ttl: readTtl(body.ttl ?? {}, errors),
  };
  if (spec.sandboxes.length === 0 && spec.labelSelector === null) {
    errors.push({ path: "", message: "needs members: sandboxes, labelSelector or both" });
  }
  return errors.length === 0 ? ok(spec) : err(errors);
}

function checkName(name: string, inBody: string | undefined, errors: BodyError[]): void {
  if (!isDnsLabel(name)) {
    errors.push({
      path: "/name",
      message: `"${name.slice(0, 80)}" is no DNS label: a-z, 0-9 and -, at most 63 characters`,
    });
  }
  if (inBody !== undefined && inBody !== name) {
    errors.push({
      path: "/name",
      message: `is "${inBody.slice(0, 80)}" and the path says "${name}"`,
    });
  }
}

function readForks(
  forks: SandboxBody["forks"],
  rules: EndpointRules,
  errors: BodyError[],
): readonly Fork[] {
  const seen = new Set<string>();
  return forks.map((fork, index) => {
    const path = `/forks/${index}`;
    if (!isWorkloadName(fork.workload)) {
      errors.push({
        path: `${path}/workload`,
        message: `"${fork.workload.slice(0, 140)}" is no namespace/name such as shop/cart`,
      });
    } else if (seen.has(fork.workload)) {
      errors.push({ path: `${path}/workload`, message: `${fork.workload} is forked twice` });
    }
    seen.add(fork.workload);
    return {
      workload: fork.workload,
      endpoints: readEndpoints(fork.endpoints, path, rules, errors),
    };
  });
}

function readEndpoints(
  endpoints: readonly string[],
  forkPath: string,
  rules: EndpointRules,
  errors: BodyError[],
): readonly string[] {
  const seen = new Set<string>();
  for (const [index, text] of endpoints.entries()) {
    const endpoint = readEndpoint(text, rules);
    const path = `${forkPath}/endpoints/${index}`;
    if (!endpoint.ok) errors.push({ path, message: endpoint.error });
    else if (seen.has(endpoint.value)) errors.push({ path, message: `${text} is listed twice` });
    else seen.add(endpoint.value);
  }
  return [...seen];
}

/** Reads `address:port` within the allowed networks; the error says what is wrong with it. */
export function readEndpoint(text: string, rules: EndpointRules): Result<string, string> {
  const address = parseAddress(text);
  if (!address.ok) return address;
  const { host, port } = address.value;
  if (port === 0) return err(`"${text}" has port 0; 1 to 65535 are allowed`);
  if (!looksLikeIp(host)) return err(`"${text}" must be an IP address and port`);
  if (rules.never.includes(host)) return err(`"${text}" is link-local, which is never allowed`);
  if (!rules.allowed.includes(host)) {
    return err(`"${text}" is outside the allowed networks (${rules.allowed.text.join(", ")})`);
  }
  return ok(formatAddress({ host: host.toLowerCase(), port }));
}

/** Networks take only IP addresses anyway; this tells a name from an address for the message. */
function looksLikeIp(host: string): boolean {
  return host.includes(":") || /^[0-9.]+$/.test(host);
}

function readRoutingKey(key: string, errors: BodyError[]): string {
  if (!isRoutingKey(key)) {
    errors.push({
      path: "/routingKey",
      message: `"${key.slice(0, 80)}" is no routing key: 3 to 40 of a-z, 0-9 and -, no -- inside, no - at the ends`,
    });
  }
  return key;
}

function readLabels(
  labels: Readonly<Record<string, string>>,
  errors: BodyError[],
): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(labels)) {
    const path = `/labels/${key.slice(0, 80).replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (!isLabelKey(key)) errors.push({ path, message: "is no label key (Kubernetes' syntax)" });
    if (!isLabelValue(value))
      errors.push({ path, message: "has no valid value: at most 63 of a-z, A-Z, 0-9, -, _ and ." });
  }
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function readTtl(ttl: Ttl, errors: BodyError[]): Ttl {
  const checked: { idle?: string; sinceUpdate?: string; max?: string } = {};
  for (const name of ["idle", "sinceUpdate", "max"] as const) {
    const text = ttl[name];
    if (text === undefined) continue;
    const problem = durationProblem(text);
    if (problem !== null) errors.push({ path: `/ttl/${name}`, message: problem });
    checked[name] = text;
  }
  return checked;
}

function durationProblem(text: string): string | null {
  const ms = parseDuration(text);
  if (!ms.ok) return ms.error;
  if (ms.value >= CONTROL_LIMITS.ttlMsMin && ms.value <= CONTROL_LIMITS.ttlMsMax) return null;
  return `"${text}" is outside 10s to 365d`;
}

function readMembers(names: readonly string[], errors: BodyError[]): readonly string[] {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    const path = `/sandboxes/${index}`;
    if (!isDnsLabel(name)) errors.push({ path, message: `"${name.slice(0, 80)}" is no name` });
    else if (seen.has(name)) errors.push({ path, message: `${name} is listed twice` });
    seen.add(name);
  }
  return [...seen];
}

function readSelector(selector: string | null, errors: BodyError[]): string | null {
  if (selector === null) return null;
  const parsed = parseLabelSelector(selector);
  if (!parsed.ok) errors.push({ path: "/labelSelector", message: parsed.error });
  return selector;
}
