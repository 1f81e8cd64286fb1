import type { Job } from "../peer.ts";

/** Idle connections kept to an upstream: more than the load opens. */
const KEPT_CONNECTIONS = 128;

/**
 * An nginx that does the job: the `sandbox` member of baggage by regular expression, then a map.
 *
 * One worker, no access log; the worker has no master, so one process id stands for all.
 */
export function nginxProxyConfig(job: Job): string {
  const routes = job.keys.map((key) => `    ${key} fork;`).join("\n");
  return inShell(
    job.folder,
    `
  map_hash_max_size 262144;
  map_hash_bucket_size 128;
  map $http_baggage $sandbox {
    default "";
    "~(?:^|,)[ \\t]*sandbox[ \\t]*=[ \\t]*(?<key>[a-z0-9-]+)" $key;
  }
  map $sandbox $pool {
    default baseline;
${routes}
  }
  upstream baseline { server 127.0.0.1:${job.baselinePort}; keepalive ${KEPT_CONNECTIONS}; }
  upstream fork { server 127.0.0.1:${job.forkPort}; keepalive ${KEPT_CONNECTIONS}; }
  server {
    listen 127.0.0.1:${job.listenPort};
    keepalive_requests 100000000;
    location / {
      proxy_pass http://$pool;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }
  }`,
  );
}

/** The service behind the proxies: the same small answer to everything, on two ports. */
export function nginxBackendConfig(folder: string, baselinePort: number, forkPort: number): string {
  const server = (port: number, text: string): string => `
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 100000000;
    location / { default_type text/plain; return 200 "${text}"; }
  }`;
  return inShell(folder, server(baselinePort, "baseline\\n") + server(forkPort, "the fork\\n"));
}

/** What every nginx of the bench has: files in its own folder only, nothing logged but errors. */
function inShell(folder: string, http: string): string {
  return `daemon off;
master_process off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log error;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${http}
}
`;
}
