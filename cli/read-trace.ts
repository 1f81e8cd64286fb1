import { setTimeout as sleep } from "node:timers/promises";
import { type ControlClient, ControlProblem } from "../control/client/client.ts";
import { askControl } from "./ask-control.ts";
import { CliError } from "./cli-error.ts";
import { renderHopTree, type TreeHop } from "./hop-tree.ts";
import { printable } from "./printable.ts";

/** What is read of a trace. */
export interface TraceView {
  readonly root: string;
  readonly complete: boolean;
  readonly incomplete: readonly { readonly code: string; readonly detail: string }[];
  readonly hops: readonly TreeHop[];
  /** Requests of the same trace id that lost the mark of their parent. */
  readonly orphans: readonly { readonly root: string; readonly hops: readonly TreeHop[] }[];
}

/** Time between two looks at a trace, in milliseconds. */
const LOOK_MS = 100;

/**
 * Reads a trace by its root or trace id; for at most `waitMs` again until it is complete.
 *
 * The last hop of a request may still be on its way to control when its answer is here.
 */
export function readTrace(control: string, id: string, waitMs: number): Promise<TraceView> {
  const deadline = performance.now() + waitMs;
  return askControl(control, async (client) => {
    for (;;) {
      const trace = await look(client, id, performance.now() >= deadline);
      if (trace?.complete || (trace !== null && performance.now() >= deadline)) return trace;
      await sleep(LOOK_MS);
    }
  });
}

/** Null where control knows no hop yet and there is time left. */
async function look(client: ControlClient, id: string, isLast: boolean): Promise<TraceView | null> {
  try {
    return await client.getTrace(id);
  } catch (error) {
    const isUnknown = error instanceof ControlProblem && error.problem.code === "trace-unknown";
    if (isUnknown && !isLast) return null;
    throw error;
  }
}

/** The hops as a tree, then what lost its caller, then whether that is all. */
export function renderTrace(trace: TraceView, hasColor: boolean): string[] {
  const options = { hasColor, siblings: "by-time" } as const;
  const { length } = trace.hops;
  return [
    ...renderHopTree(trace.hops, options),
    ...trace.orphans.flatMap((orphan) => [
      `same trace id, but its caller is lost (${printable(orphan.root)}):`,
      ...renderHopTree(orphan.hops, options).map((line) => `  ${line}`),
    ]),
    trace.complete ? `complete: ${length} ${length === 1 ? "hop" : "hops"} recorded` : "incomplete",
  ];
}

/** The failure that a trace is not complete, saying why; null if it is. */
export function incompleteness(trace: TraceView): CliError | null {
  if (trace.complete) return null;
  const why = trace.incomplete.map(({ code, detail }) => `${code}: ${detail}`).join("; ");
  return new CliError("trace-incomplete", `the route of ${trace.root} is not proved: ${why}`, {
    fix: "see that every proxy on the way reaches control, and send the request again",
    members: { trace },
  });
}
