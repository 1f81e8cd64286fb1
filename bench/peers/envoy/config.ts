import type { Job } from "../peer.ts";

/**
 * An Envoy that does the job as a mesh has it done: a route for each sandbox, which matches baggage by
 * a regular expression (what Istio makes of `headers: baggage: regex:` in a VirtualService).
 *
 * Istio's own filters (its statistics, metadata exchange) are left out, which flatters Envoy. JSON, which
 * Envoy reads as well as YAML.
 */
export function envoyConfig(job: Job): object {
  return {
    static_resources: {
      listeners: [listener(job)],
      clusters: [cluster("baseline", job.baselinePort), cluster("fork", job.forkPort)],
    },
  };
}

function listener(job: Job): object {
  const forks = job.keys.map((key) => {
    return { match: { prefix: "/", headers: [baggageMatch(job, key)] }, ...routeTo("fork") };
  });
  const connections = {
    "@type": `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "bench",
    route_config: {
      virtual_hosts: [
        {
          name: "bench",
          domains: ["*"],
          routes: [...forks, { match: { prefix: "/" }, ...routeTo("baseline") }],
        },
      ],
    },
    http_filters: [
      {
        name: "router",
        typed_config: { "@type": `${EXTENSIONS}.filters.http.router.v3.Router` },
      },
    ],
  };
  return {
    name: "bench",
    address: address(job.listenPort),
    filter_chains: [{ filters: [{ name: "http", typed_config: connections }] }],
  };
}

const EXTENSIONS = "type.googleapis.com/envoy.extensions";

/** The expression has to match the whole value; of a composed tag, either key. */
function baggageMatch(job: Job, key: string): object {
  const keys = job.composed ? `(?:[a-z0-9-]+~)?${key}(?:~[a-z0-9-]+)?` : key;
  const regex = `(?:.*,)?[ \\t]*sandbox[ \\t]*=[ \\t]*${keys}[ \\t]*(?:[,;].*)?`;
  return { name: "baggage", string_match: { safe_regex: { regex } } };
}

/** No time limit on the whole exchange: the other proxies have none either. */
function routeTo(name: string): object {
  return { route: { cluster: name, timeout: "0s" } };
}

function cluster(name: string, port: number): object {
  const endpoint = { endpoint: { address: address(port) } };
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [endpoint] }] },
  };
}

function address(port: number): object {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}
