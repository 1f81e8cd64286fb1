import type { InterceptionSettings } from "./rules.ts";

/** Two ports of a service, and its calls left alone. */
export const SETTINGS: InterceptionSettings = {
  inboundPorts: [8080, 8081],
  excludedInboundPorts: [],
  isOutbound: false,
  outboundPorts: "all",
  outboundCidrs: "all",
  excludedOutboundCidrs: [],
  excludedOutboundPorts: [],
  proxyPort: 19_471,
  outboundPort: 19_472,
  uid: 7470,
};
