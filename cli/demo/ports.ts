import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";
import { CliError } from "../cli-error.ts";
import { SHOP_SERVICES, type ShopService } from "./shop.ts";

/** Where everything of the demo listens, on loopback. */
export interface DemoPorts {
  readonly control: number;
  readonly edge: number;
  /** The proxy next to each service: where its callers reach it. */
  readonly proxies: Readonly<Record<ShopService, number>>;
  readonly services: Readonly<Record<ShopService, number>>;
  readonly forkProxy: number;
  readonly fork: number;
}

/** What listens on the demo's ports is reached from this machine only. */
export const DEMO_HOST = "127.0.0.1";

/** Ports of the demo when nobody says otherwise; each gives way to a free one if it is taken. */
const CONTROL_PORT = 7070;
const EDGE_PORT = 8080;
const SHOP_PORT = 9101;

/** Ports that the demo needs: control, edge, and a proxy and a process for each service and the fork. */
export const DEMO_PORTS_COUNT = 2 + 2 * (SHOP_SERVICES.length + 1);

/** Highest port base whose last port still exists. */
export const PORT_BASE_MAX = 65_535 - DEMO_PORTS_COUNT + 1;

/**
 * Chooses the demo's ports: those that were asked for (`base` and what follows it), or the default
 * ones, each replaced by a free one where it is taken.
 *
 * Throws `port-in-use` if a port that was asked for is taken.
 */
export async function chooseDemoPorts(base: number | null): Promise<DemoPorts> {
  const held: Server[] = [];
  try {
    const ports: number[] = [];
    for (const wanted of wantedPorts(base)) {
      ports.push(await hold(wanted, base !== null, held));
    }
    return namePorts(ports);
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function wantedPorts(base: number | null): number[] {
  const shop = Array.from({ length: DEMO_PORTS_COUNT - 2 }, (_, i) => SHOP_PORT + i);
  if (base === null) return [CONTROL_PORT, EDGE_PORT, ...shop];
  return Array.from({ length: DEMO_PORTS_COUNT }, (_, i) => base + i);
}

/** Takes a port for as long as the others are chosen, so that none is chosen twice. */
async function hold(wanted: number, isFixed: boolean, held: Server[]): Promise<number> {
  const server = (await listen(wanted, isFixed)) ?? (await listenAnywhere());
  const address = server?.address() ?? null;
  if (server === null || address === null || typeof address === "string") {
    throw new CliError("failed", `no free port on ${DEMO_HOST}`);
  }
  held.push(server);
  return address.port;
}

/**
 * Takes any free port that no system gives to outgoing connections (RFC 6335: from 49152, Linux from
 * 32768): the port is used a few seconds after it was chosen, and must still be free then.
 */
async function listenAnywhere(): Promise<Server | null> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const server = await listen(randomInt(CHOSEN_MIN, CHOSEN_MAX), false);
    if (server !== null) return server;
  }
  return listen(0, true);
}

const CHOSEN_MIN = 20_000;
const CHOSEN_MAX = 32_000;
const ATTEMPTS_MAX = 100;

/** Returns null where the port is taken and another one will do. */
function listen(port: number, isFixed: boolean): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (cause: NodeJS.ErrnoException) => {
      if (isFixed) reject(taken(port, cause));
      else resolve(null);
    });
    server.listen({ port, host: DEMO_HOST, exclusive: true }, () => resolve(server));
  });
}

function taken(port: number, cause: NodeJS.ErrnoException): CliError {
  const why = cause.code === "EADDRINUSE" ? "it is in use" : cause.message;
  const detail = `port ${port} on ${DEMO_HOST} cannot be had: ${why}`;
  const fix = `leave --port-base out to let forklane choose, or give one with ${DEMO_PORTS_COUNT} free ports behind it`;
  return new CliError("port-in-use", detail, { fix, cause });
}

function namePorts(ports: readonly number[]): DemoPorts {
  const [control = 0, edge = 0, ...shop] = ports;
  const count = SHOP_SERVICES.length;
  return {
    control,
    edge,
    proxies: nameServices(shop),
    forkProxy: shop[count] ?? 0,
    services: nameServices(shop.slice(count + 1)),
    fork: shop[2 * count + 1] ?? 0,
  };
}

function nameServices(ports: readonly number[]): Record<ShopService, number> {
  const named = SHOP_SERVICES.map((service, i) => [service, ports[i] ?? 0] as const);
  return Object.fromEntries(named) as Record<ShopService, number>;
}
