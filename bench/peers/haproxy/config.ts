import type { Job } from "../peer.ts";

/**
 * An HAProxy that does the job: what stands behind `sandbox=` in baggage, looked up in a map file.
 *
 * HAProxy has no parser for baggage; `field` is right for the one member that the load sends, and
 * flatters HAProxy, which looks at no second one. One thread, no log.
 */
export function haproxyConfig(job: Job, mapPath: string): string {
  return `global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse safe
frontend bench
  bind 127.0.0.1:${job.listenPort}
  use_backend %[req.fhdr(baggage),field(2,=),map_str(${mapPath},baseline)]
  default_backend baseline
backend baseline
  server only 127.0.0.1:${job.baselinePort}
backend fork
  server only 127.0.0.1:${job.forkPort}
`;
}

/** The map file: one key and the backend that it leads to on a line. */
export function haproxyMap(keys: readonly string[]): string {
  return keys.map((key) => `${key} fork\n`).join("");
}
