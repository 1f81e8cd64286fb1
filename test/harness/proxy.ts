import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { formatAddress, parseAddress } from "../../core/address.ts";
import type { TableDocument } from "../../core/watch-events.ts";
import { readProxyConfig } from "../../proxy/config.ts";
import type { Limits } from "../../proxy/limits.ts";
import { createProxy, type RunningProxy } from "../../proxy/proxy.ts";
import type { Upstream } from "./upstream.ts";

/** What a test says of the proxy that it wants; the rest is as a user gets it. */
export interface ProxyWish {
  readonly baseline: Upstream | string;
  /** Routing key to the fork that it leads to. */
  readonly forks?: Readonly<Record<string, Fork>>;
  readonly known?: readonly string[];
  readonly expired?: readonly string[];
  readonly workload?: string;
  /** Where other workloads are; given to the outbound side. */
  readonly callees?: Readonly<Record<string, object>>;
  /** A whole table in place of `forks`. */
  readonly table?: TableDocument;
  /** Further flags, by name without dashes. */
  readonly flags?: Readonly<Record<string, string>>;
  readonly limits?: Partial<Limits>;
  /** No table at all: as if control had not answered yet. */
  readonly withoutTable?: boolean;
}

export interface Fork {
  readonly at: Upstream | string | readonly string[];
  readonly sandbox?: string;
  readonly onUnavailable?: "fail" | "baseline";
}

export interface TestProxy extends RunningProxy {
  /** `host:port`. */
  readonly at: string;
  readonly port: number;
  /** Port of the outbound side; 0 without. */
  readonly outboundPort: number;
}

/** Starts a proxy in this process on a free port; it stops with the test. */
export async function startProxy(wish: ProxyWish): Promise<TestProxy> {
  const folder = await mkdtemp(join(tmpdir(), "forklane-test-"));
  const table = join(folder, "table.json");
  await writeFile(table, JSON.stringify(wish.table ?? tableOf(wish)));
  const callees = join(folder, "callees.json");
  await writeFile(callees, JSON.stringify(wish.callees ?? {}));
  const flags = {
    listen: "127.0.0.1:0",
    ...(wish.flags?.["mode"] === "outbound" ? {} : { upstream: addressOf(wish.baseline) }),
    ...(wish.callees && { callees }),
    workload: wish.workload ?? "shop/cart",
    "access-log": "off",
    ...(wish.withoutTable === true ? { control: "http://127.0.0.1:1" } : { table }),
    ...wish.flags,
  };
  const config = readProxyConfig(flags, {});
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  const limits = { ...config.value.limits, drainAcceptMs: 0, drainMs: 200, ...wish.limits };
  const proxy = await createProxy(
    { ...config.value, limits },
    { waitForTable: wish.withoutTable !== true },
  );
  onTestFinished(async () => {
    await proxy.drain();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    ...proxy,
    at: formatAddress(proxy.listen),
    port: proxy.listen.port,
    outboundPort: proxy.outbound?.port ?? 0,
  };
}

function tableOf(wish: ProxyWish): TableDocument {
  const routes = Object.fromEntries(
    Object.entries(wish.forks ?? {}).map(([key, fork]) => [
      key,
      {
        sandbox: fork.sandbox ?? key,
        endpoints: endpointsOf(fork),
        onUnavailable: fork.onUnavailable ?? "fail",
      },
    ]),
  );
  return { revision: 1, routes, known: wish.known ?? [], expired: wish.expired ?? [] };
}

function endpointsOf(fork: Fork): readonly string[] {
  return Array.isArray(fork.at) ? fork.at : [addressOf(fork.at as Upstream | string)];
}

function addressOf(upstream: Upstream | string): string {
  return typeof upstream === "string" ? upstream : upstream.at;
}

/** An address where nothing listens. */
export const NOBODY = "127.0.0.1:1";

/** The port of `host:port`. */
export function portOf(at: string): number {
  const address = parseAddress(at);
  if (!address.ok) throw new Error(address.error);
  return address.value.port;
}
