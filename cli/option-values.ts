import { InvalidArgumentError } from "commander";
import { parseAddress } from "../core/address.ts";
import { CONTROL_ARM_SUFFIX, isRoutingKey } from "../core/routing-key.ts";
import { isWorkloadName } from "../core/workload.ts";

/** One `--fork`: a workload, and where its fork answers. */
export interface ForkOption {
  readonly workload: string;
  readonly endpoint: string;
}

/** Most sandboxes that one tag composes with `~`. */
const COMPOSED_KEYS_MAX = 4;

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^([1-9][0-9]{0,5})(ms|s|m|h|d)$/;
/** RFC 9110 section 5.1: a field name is a token. */
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 section 5.5: visible characters, space and tab, and bytes above 127. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Reads `shop/cart=127.0.0.1:9002` and adds it to those before. */
export function collectFork(text: string, before: readonly ForkOption[] = []): ForkOption[] {
  const equals = text.indexOf("=");
  if (equals < 0) throw new InvalidArgumentError("Write it as shop/cart=127.0.0.1:9002.");
  const workload = readWorkload(text.slice(0, equals));
  const address = parseAddress(text.slice(equals + 1));
  if (!address.ok) throw new InvalidArgumentError(`${capital(address.error)}.`);
  if (address.value.port === 0) throw new InvalidArgumentError("A fork needs a port above 0.");
  return [...before, { workload, endpoint: text.slice(equals + 1) }];
}

/** Reads a workload's name. */
export function readWorkload(text: string): string {
  if (isWorkloadName(text)) return text;
  throw new InvalidArgumentError("A workload is namespace/name, as in shop/cart.");
}

/** Reads `team=cart` and adds it to those before. */
export function collectLabel(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("Write it as name=value.");
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

/** Reads `name: value` and adds it to those before. */
export function collectHeader(
  text: string,
  before: readonly (readonly [string, string])[] = [],
): (readonly [string, string])[] {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(colon, 0)).trim();
  const value = text.slice(colon + 1).trim();
  if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value)) {
    throw new InvalidArgumentError("Write it as 'name: value'.");
  }
  return [...before, [name, value]];
}

/** Checks a duration and keeps its text, which the API reads itself. */
export function readDuration(text: string): string {
  if (DURATION.test(text)) return text;
  throw new InvalidArgumentError("A duration is a number and ms, s, m, h or d, as in 30s.");
}

/** Milliseconds of a duration that readDuration took. */
export function durationMs(text: string): number {
  const match = DURATION.exec(text);
  const unit = match?.[2] as keyof typeof UNIT_MS | undefined;
  if (!match || unit === undefined) throw new InvalidArgumentError(`"${text}" is no duration.`);
  return Number(match[1]) * UNIT_MS[unit];
}

/** Reads the routing key of a sandbox. */
export function readKey(text: string): string {
  if (isRoutingKey(text)) return text;
  throw new InvalidArgumentError("A routing key is 3 to 40 of a-z, 0-9 and -, as in jane-42.");
}

/** Reads what a tag may say: `jane-42`, `jane-42!`, `jane-42.base`, `jane-42~john-7`. */
export function readTag(text: string): string {
  const keys = (text.endsWith("!") ? text.slice(0, -1) : text).split("~");
  if (keys.length <= COMPOSED_KEYS_MAX && keys.every((key) => isRoutingKey(withoutArm(key)))) {
    return text;
  }
  throw new InvalidArgumentError(
    "A key is 3 to 40 of a-z, 0-9 and -, at most four joined by ~, optionally .base and ! behind.",
  );
}

/** Reads the base URL of control and drops the slash at its end. */
export function readControlUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new InvalidArgumentError("Write it as http://127.0.0.1:7070.");
  }
  return text.replace(/\/+$/, "");
}

/** Reads what names a trace: a root (16 hex characters) or a W3C trace id (32). */
export function readTraceId(text: string): string {
  if (/^(?:[0-9a-f]{16}|[0-9a-f]{32})$/.test(text)) return text;
  throw new InvalidArgumentError("It is 16 or 32 of 0-9 and a-f.");
}

/** Reads the URL of a request. */
export function readRequestUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError(
      `"${text}" is not a URL such as http://127.0.0.1:8080/checkout.`,
    );
  }
  return url;
}

function withoutArm(key: string): string {
  return key.endsWith(CONTROL_ARM_SUFFIX) ? key.slice(0, -CONTROL_ARM_SUFFIX.length) : key;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
