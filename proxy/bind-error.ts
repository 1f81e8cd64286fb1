/**
 * Why the system does not let a proxy listen where it is told to: what the operator can set right.
 *
 * Before: main.ts, worker.ts. Not on the request path.
 */
export const BIND_FAULTS = {
  EADDRINUSE: "another process listens there; stop it, or give another port",
  EACCES: "this user may not listen there; ports below 1024 need a privilege",
  EADDRNOTAVAIL: "this machine has no such address",
} as const;

/** The system's error of a bind. */
export interface BindError extends Error {
  readonly code: keyof typeof BIND_FAULTS;
  readonly port?: number;
}

/** Whether that is what was thrown. */
export function isBindError(error: unknown): error is BindError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    Object.hasOwn(BIND_FAULTS, error.code)
  );
}
