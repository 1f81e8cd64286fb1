import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { freePort } from "../harness/free-port.ts";
import { needProgram, startProgram } from "../harness/program.ts";

/** A server behind our proxy that says which requests it read. */
export interface CountingServer {
  readonly at: string;
  /** `METHOD target` of each request that it read and answered 200, in order; maybe more words. */
  readonly seen: readonly string[];
}

/** How each kind of server is started: its program, and its arguments for a port. */
interface ServerKind {
  readonly name: string;
  readonly program: string;
  readonly versionArgs: readonly string[];
  readonly args: (port: number, folder: string) => Promise<readonly string[]> | readonly string[];
}

const SOURCES = join(import.meta.dirname, "servers");

export const SERVERS: readonly ServerKind[] = [
  {
    name: "nginx",
    program: "nginx",
    versionArgs: ["-v"],
    args: async (port, folder) => {
      await writeFile(join(folder, "nginx.conf"), nginxConfig(port, folder));
      return ["-p", folder, "-c", join(folder, "nginx.conf")];
    },
  },
  {
    name: "node",
    program: process.execPath,
    versionArgs: ["--version"],
    args: (port) => [join(SOURCES, "server.ts"), String(port)],
  },
  {
    name: "python",
    program: "python3",
    versionArgs: ["--version"],
    args: (port) => [join(SOURCES, "server.py"), String(port)],
  },
  {
    name: "go",
    program: "go",
    versionArgs: ["version"],
    // Go's own cache, outside the checkout, makes the second build quick.
    args: (port, folder) => {
      const built = join(folder, "server");
      execFileSync("go", ["build", "-o", built, join(SOURCES, "server.go")]);
      return ["-c", 'exec "$0" "$1"', built, String(port)];
    },
  },
];

/** Starts one; it stops with the test. */
export async function startServer(kind: ServerKind): Promise<CountingServer> {
  needProgram(kind.program, kind.versionArgs, "http1-peers");
  const folder = await mkdtemp(join(tmpdir(), `forklane-${kind.name}-`));
  const port = await freePort();
  const args = await kind.args(port, folder);
  const program = kind.name === "go" ? "sh" : kind.program;
  const running = await startProgram(program, args, [port]);
  onTestFinished(async () => {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const said: string[] = [];
  if (running.stdout !== null) {
    createInterface({ input: running.stdout }).on("line", (line) => said.push(line));
  }
  const log = join(folder, "seen");
  return {
    at: `127.0.0.1:${port}`,
    get seen() {
      // nginx cannot write to a socket, which is what a child's stdout is here.
      return existsSync(log) ? readFileSync(log, "latin1").trim().split("\n") : said;
    },
  };
}

/** Its log is what it read; a request that it refuses is in the log of no server here. */
function nginxConfig(port: number, folder: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  map $status $is_answered { 200 1; default 0; }
  log_format counted escape=none '$request_method $request_uri';
  access_log ${folder}/seen counted if=$is_answered;
  large_client_header_buffers 8 64k;
  underscores_in_headers on;
  keepalive_requests 1000000;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
  server {
    listen 127.0.0.1:${port};
    location / { return 200 "$request_method $request_uri"; }
  }
}
`;
}
