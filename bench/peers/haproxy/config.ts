import type { Job } from "../peer.ts";

/** What stands behind the first `=` of baggage, up to the end of its member. */
const TAG = "req.fhdr(baggage),field(2,=),field(1,',')";

/**
 * An HAProxy that does the job: what stands behind `sandbox=` in baggage, looked up in a map file.
 *
 * HAProxy has no parser for baggage; `field` is right for a tag in the first member, where the load
 * sends it, and flatters HAProxy, which does not look at the name. One thread, no log.
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
${job.composed ? composedChoice(mapPath) : `  use_backend "%[${TAG},map_str(${mapPath},baseline)]"`}
  default_backend baseline
backend baseline
  server only 127.0.0.1:${job.baselinePort}
backend fork
  server only 127.0.0.1:${job.forkPort}
`;
}

/** Each key of `a~b` is looked up once; the first that is found counts. */
function composedChoice(mapPath: string): string {
  const lookUp = (key: number): string => `"${TAG},field(${key},~),map_str(${mapPath})"`;
  return `  http-request set-var(txn.pool) ${lookUp(1)}
  http-request set-var(txn.pool) ${lookUp(2)} if !{ var(txn.pool) -m found }
  use_backend "%[var(txn.pool)]" if { var(txn.pool) -m found }`;
}

/** The map file: one key and the backend that it leads to on a line. */
export function haproxyMap(keys: readonly string[]): string {
  return keys.map((key) => `${key} fork\n`).join("");
}
