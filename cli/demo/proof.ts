import type { TreeHop } from "../hop-tree.ts";
import { BASELINE_VERSION, SHOP, SHOP_SERVICES, type ShopService, workloadOf } from "./shop.ts";

/** What came back from the edge. */
export interface DemoAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The JSON, or what else there was. */
  readonly body: unknown;
}

/** A tagged request: its answer, and the hops that control saw. */
export interface DemoArm {
  readonly answer: DemoAnswer;
  readonly trace: {
    readonly complete: boolean;
    /** Why it is not complete. */
    readonly incomplete: readonly { readonly code: string; readonly detail: string }[];
    readonly hops: readonly TreeHop[];
  };
}

/** All that the demo claims anything about. */
export interface DemoEvidence {
  readonly untagged: DemoAnswer;
  /** The same request tagged with the control arm: the sandbox's key, nothing forked. */
  readonly controlArm: DemoArm;
  readonly tagged: DemoArm;
  readonly fork: {
    readonly service: ShopService;
    readonly version: string;
    readonly endpoint: string;
  };
}

/** Workload of the demo's edge. */
export const EDGE_WORKLOAD = "shop/edge";

/** The workloads that one request through the edge meets, once each. */
export const HOP_WORKLOADS: readonly string[] = [EDGE_WORKLOAD, ...SHOP_SERVICES.map(workloadOf)];

/**
 * Checks the demo's claim and says, a sentence each, what was wrong; empty is proof.
 *
 * Answers and records are judged apart and have to agree: a service that says it is the fork and a
 * proxy that says so are two witnesses.
 */
export function findFlaws(evidence: DemoEvidence): string[] {
  const { untagged, controlArm, tagged, fork } = evidence;
  return [
    ...answerFlaws("untagged", untagged, null, fork.service),
    ...leakFlaws(untagged),
    ...answerFlaws("control arm", controlArm.answer, null, fork.service),
    ...traceFlaws("control arm", controlArm.trace, null),
    ...answerFlaws("tagged", tagged.answer, fork.version, fork.service),
    ...traceFlaws("tagged", tagged.trace, fork),
  ];
}

/** Who answered, by what the services say themselves. */
function answerFlaws(
  arm: string,
  answer: DemoAnswer,
  forkVersion: string | null,
  forked: ShopService,
): string[] {
  if (answer.status !== 200) {
    return [`${arm}: the answer is ${answer.status} ${JSON.stringify(answer.body)}`.slice(0, 400)];
  }
  const versions = versionsOf(answer.body);
  return SHOP_SERVICES.flatMap((service) => {
    const workload = workloadOf(service);
    const isForked = forkVersion !== null && service === forked;
    const expected = isForked ? forkVersion : BASELINE_VERSION;
    const version = versions.get(workload);
    if (version === expected) return [];
    return [`${arm}: ${workload} was answered by ${version ?? "nobody"}, not by ${expected}`];
  });
}

/** Reads `servedBy` and `version` out of an answer and the answers inside it. */
function versionsOf(body: unknown, versions = new Map<string, string>()): Map<string, string> {
  if (typeof body !== "object" || body === null) return versions;
  const { servedBy, version } = body as Record<string, unknown>;
  if (typeof servedBy === "string") versions.set(servedBy, String(version));
  for (const member of Object.values(body)) versionsOf(member, versions);
  return versions;
}

/** An untagged caller is told nothing of ours. */
function leakFlaws(answer: DemoAnswer): string[] {
  const ours = Object.keys(answer.headers).filter((name) => name.startsWith("forklane-"));
  return ours.length === 0 ? [] : [`untagged: the answer carries ${ours.join(", ")}`];
}

function traceFlaws(
  arm: string,
  trace: DemoArm["trace"],
  fork: DemoEvidence["fork"] | null,
): string[] {
  const flaws = trace.complete ? [] : [incompleteFlaw(arm, trace)];
  for (const workload of HOP_WORKLOADS) {
    const hops = trace.hops.filter((hop) => hop.workload === workload);
    const [hop] = hops;
    if (hop === undefined || hops.length > 1) {
      flaws.push(`${arm}: ${workload} has ${hops.length} recorded hops, not 1`);
    } else {
      flaws.push(...hopFlaws(arm, hop, fork), ...callerFlaws(arm, hop, trace.hops));
    }
  }
  const strangers = trace.hops.filter((hop) => !HOP_WORKLOADS.includes(hop.workload));
  return [
    ...flaws,
    ...strangers.map((hop) => `${arm}: a hop at ${hop.workload} is not of this shop`),
  ];
}

function incompleteFlaw(arm: string, trace: DemoArm["trace"]): string {
  const why = trace.incomplete.map(({ code, detail }) => ` (${code}: ${detail})`);
  return `${arm}: the record of hops is not complete${why.join("")}`;
}

function hopFlaws(arm: string, hop: TreeHop, fork: DemoEvidence["fork"] | null): string[] {
  const isForked = fork !== null && hop.workload === workloadOf(fork.service);
  const outcome = isForked ? "fork" : "baseline";
  const reason = isForked ? "fork" : "not-forked";
  if (hop.outcome !== outcome || hop.reason !== reason) {
    return [
      `${arm}: ${hop.workload} went ${hop.outcome} (${hop.reason}), not ${outcome} (${reason})`,
    ];
  }
  if (isForked && hop.endpoint !== fork.endpoint) {
    return [`${arm}: the fork of ${hop.workload} is at ${hop.endpoint}, not at ${fork.endpoint}`];
  }
  if (isForked && !hop.confirmed) {
    return [`${arm}: the fork's own proxy did not record the hop at ${hop.workload}`];
  }
  return hop.status === 200 ? [] : [`${arm}: ${hop.workload} answered ${hop.status}`];
}

/** Who caused a hop has to be who calls it in the shop, though no trace header told. */
function callerFlaws(arm: string, hop: TreeHop, hops: readonly TreeHop[]): string[] {
  const expected = callerOf(hop.workload);
  const caller = hops.find((each) => each.hop === hop.parent)?.workload ?? "nobody";
  return caller === expected
    ? []
    : [`${arm}: ${hop.workload} was called by ${caller}, not by ${expected}`];
}

function callerOf(workload: string): string {
  if (workload === EDGE_WORKLOAD) return "nobody";
  const caller = SHOP_SERVICES.find((service) =>
    SHOP[service].callees.some((callee) => workloadOf(callee) === workload),
  );
  return caller === undefined ? EDGE_WORKLOAD : workloadOf(caller);
}
