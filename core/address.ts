import { err, ok, type Result } from "./result.ts";

/** Where to connect or listen. `host` is an IP address or a DNS name, IPv6 without brackets. */
export interface Address {
  readonly host: string;
  /** 0 to 65535; 0 only where a listener may pick one. */
  readonly port: number;
}

const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$/;

/** Reads `127.0.0.1:8080`, `[::1]:8080` or `name:8080`; the error says what is wrong with it. */
export function parseAddress(text: string): Result<Address, string> {
  const colon = text.lastIndexOf(":");
  if (colon < 1) return err(`"${text}" is not host:port`);
  const portText = text.slice(colon + 1);
  let host = text.slice(0, colon);
  if (host.startsWith("[") && host.endsWith("]")) host = host.slice(1, -1);
  else if (host.includes(":")) return err(`"${text}" needs brackets around its IPv6 address`);
  if (host.length > 255 || !HOST.test(host)) return err(`"${text}" has no valid host`);
  if (!/^[0-9]{1,5}$/.test(portText) || Number(portText) > 65535) {
    return err(`"${text}" has no valid port (0 to 65535)`);
  }
  return ok({ host, port: Number(portText) });
}

/** Writes what parseAddress reads. */
export function formatAddress(address: Address): string {
  return address.host.includes(":")
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}
