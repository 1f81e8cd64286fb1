import type { Job } from "../peer.ts";

/** Idle connections kept to an upstream: more than the load opens. */
const KEPT_CONNECTIONS = 128;

/**
 * An nginx that does the job: the `sandbox` member of baggage by regular expression, then a map.
 *
 * One worker, no access log; the worker has no master, so one process id stands for all. Bodies are
 * passed on as they come, never through a file.
 */
export function nginxProxyConfig(job: Job): string {
  const routes = job.keys.map((key) => `    ${key} fork;`).join("\n");
  const second = job.composed ? "(?:~(?<second>[a-z0-9-]+))?" : "";
  return inShell(
    job.folder,
    `
  map_hash_max_size 262144;
  map_hash_bucket_size 128;
  map $http_baggage $sandbox {
    default "";
    "~(?:^|,)[ \\t]*sandbox[ \\t]*=[ \\t]*(?<key>[a-z0-9-]+)${second}" $key;
  }
  map $sandbox $pool {
    default ${job.composed ? "$second_pool" : "baseline"};
${routes}
  }${job.composed ? secondMap(routes) : ""}
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
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      client_max_body_size 0;
    }
  }`,
  );
}

function secondMap(routes: string): string {
  return `
  map $second $second_pool {
    default baseline;
${routes}
  }`;
}

/** Files that the service behind the proxies serves: path to bytes. */
export const BACKEND_FILES: Readonly<Record<string, number>> = {
  "16k": 16 * 1024,
  "1m": 1024 * 1024,
};

/**
 * The service behind the proxies, on two ports: a small answer to everything, files of some sizes, and
 * `/upload`, which answers with the length of a body once the whole of it is there. `return` answers
 * before the body has come, so the upload is handed on to a server that returns.
 */
export function nginxBackendConfig(
  folder: string,
  baselinePort: number,
  forkPort: number,
  host = "127.0.0.1",
): string {
  const server = (port: number, text: string): string => `
  server {
    listen ${host}:${port};
    keepalive_requests 100000000;
    client_max_body_size 0;
    client_body_buffer_size 2m;
    default_type text/plain;
    sendfile on;
    root ${folder}/files;
${Object.keys(BACKEND_FILES)
  .map((name) => `    location = /${name} { }`)
  .join("\n")}
    location = /upload {
      proxy_pass http://received;
      proxy_http_version 1.1;
      proxy_pass_request_body off;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_set_header Received $content_length;
    }
    location / { return 200 "${text}"; }
  }`;
  const received = `
  upstream received { server unix:${folder}/received.sock; keepalive ${KEPT_CONNECTIONS}; }
  server {
    listen unix:${folder}/received.sock;
    keepalive_requests 100000000;
    location / { default_type text/plain; return 200 "$http_received\\n"; }
  }`;
  return inShell(
    folder,
    received + server(baselinePort, "baseline\\n") + server(forkPort, "the fork\\n"),
  );
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
