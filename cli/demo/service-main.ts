/** Runs one service of the demo shop as a process; started by children.ts, never by hand. */
import { parseArgs } from "node:util";
import { type Address, parseAddress } from "../../core/address.ts";
import { endWithParent } from "../end-with-parent.ts";
import { type BrokenClient, parseBreak } from "./broken-client.ts";
import { startService } from "./service.ts";
import { BASELINE_VERSION, isShopService, type ShopService } from "./shop.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: "string", default: "127.0.0.1:0" },
    version: { type: "string", default: BASELINE_VERSION },
    callee: { type: "string", multiple: true, default: [] },
    break: { type: "string" },
  },
});

const service = await startService({
  service: readService(positionals[0]),
  listen: readAddress(values.listen),
  version: values.version,
  callees: Object.fromEntries(values.callee.map(readCallee)),
  broken: values.break === undefined ? null : readBreak(values.break),
});
endWithParent();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void service.stop());
}

function readCallee(text: string): [ShopService, Address] {
  const equals = text.indexOf("=");
  return [readService(text.slice(0, equals)), readAddress(text.slice(equals + 1))];
}

function readBreak(text: string): BrokenClient {
  const broken = parseBreak(text);
  if (broken.ok) return broken.value;
  throw new Error(broken.error);
}

function readService(name: string | undefined): ShopService {
  if (name !== undefined && isShopService(name)) return name;
  throw new Error(`no service of the shop: ${name}`);
}

function readAddress(text: string): Address {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}
