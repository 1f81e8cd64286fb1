import { spawnSync } from "node:child_process";
import { InterceptError } from "./intercept-error.ts";
import type { Family } from "./rules.ts";

/** The two ways into the kernel that programs named iptables have. */
export type BackendName = "nft" | "legacy";

/** The programs of one backend. */
export interface Backend {
  readonly name: BackendName;
  /** `iptables-nft`, or plain `iptables` where that is the backend of it. */
  readonly program: Readonly<Record<Family, string>>;
}

/** How long the kernel's own lock is waited for, and how long a program may run. */
const LOCK_SECONDS = 5;
const PROGRAM_MS = 20_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Finds the backends that are installed here. */
export function installedBackends(): Backend[] {
  return (["nft", "legacy"] as const).flatMap((name) => {
    const prefix = [`-${name}`, ""].find((suffix) => isBackend(`iptables${suffix}`, name));
    if (prefix === undefined) return [];
    return [{ name, program: { 4: `iptables${prefix}`, 6: `ip6tables${prefix}` } }];
  });
}

/** All tables of one IP version as `iptables-save` prints them; the error is the program's. */
export function save(backend: Backend, family: Family): string {
  const { status, stdout, stderr } = run(`${backend.program[family]}-save`, []);
  if (status === 0) return stdout;
  throw failed(`${backend.program[family]}-save`, stderr);
}

/** What iptables exits with when somebody else keeps the lock; that says nothing of the kernel. */
const LOCKED = 4;

/**
 * Whether the kernel takes rules of this IP version by this backend; throws an InterceptError where
 * somebody keeps the lock for too long.
 */
export function takes(backend: Backend, family: Family): boolean {
  const program = backend.program[family];
  const { status, stderr } = run(program, ["-w", String(LOCK_SECONDS), "-t", "nat", "-S"]);
  if (status === LOCKED) throw failed(program, stderr);
  return status === 0;
}

/** Carries a script out as a whole or not at all; `isTest` only has it checked. */
export function restore(backend: Backend, family: Family, script: string, isTest: boolean): void {
  const program = `${backend.program[family]}-restore`;
  const flags = ["--noflush", "-w", String(LOCK_SECONDS), ...(isTest ? ["--test"] : [])];
  const { status, stderr } = run(program, flags, script);
  if (status !== 0) throw failed(program, stderr);
}

/** All rules of nftables as JSON; empty where there is no program nft, or it cannot tell. */
export function nftRuleset(): string {
  const { status, stdout } = run("nft", ["-j", "list", "ruleset"]);
  return status === 0 ? stdout : "";
}

function isBackend(program: string, name: BackendName): boolean {
  const { status, stdout } = run(program, ["--version"]);
  if (status !== 0) return false;
  // Before 1.8 there was only the one that is called legacy today, and it said nothing.
  return stdout.includes("nf_tables") === (name === "nft");
}

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], input = ""): Outcome {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    input,
    encoding: "utf8",
    timeout: PROGRAM_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  // A program that fails before it has read its rules has said why, too.
  return { status, stdout: stdout ?? "", stderr: stderr || (error?.message ?? "") };
}

function failed(program: string, stderr: string): InterceptError {
  const said = stderr.trim().split("\n").slice(0, 3).join("; ").slice(0, 500);
  return new InterceptError(
    "intercept-failed",
    `${program} failed: ${said === "" ? "it said nothing" : said}`,
    "see forklane intercept --status for what stands, and --dry-run for what is asked of it",
  );
}
