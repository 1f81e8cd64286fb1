import { basename, relative } from "node:path";
import { besideEachOther, renderHopTree } from "../hop-tree.ts";
import { KEY_HEADER } from "../tag.ts";
import { paint, type Terminal } from "../terminal.ts";
import type { DemoPorts } from "./ports.ts";
import { address, controlUrl, DEMO_FORK, PROXIES_COUNT, SERVICES_COUNT } from "./processes.ts";
import { type DemoAnswer, type DemoArm, type DemoEvidence, HOP_WORKLOADS } from "./proof.ts";
import { workloadOf } from "./shop.ts";

/** Path that the demo requests at the edge. */
export const DEMO_PATH = "/checkout";

/** The tags of the two requests whose hops are shown. */
export const CONTROL_ARM_TAG = `${DEMO_FORK.sandbox}.base!`;
export const FORK_TAG = `${DEMO_FORK.sandbox}!`;

/** Says what runs, and where. */
export function renderPlace(ports: DemoPorts, dataFile: string, readyMs: number): string[] {
  const control = `control ${controlUrl(ports)} (${basename(dataFile)})`;
  const edge = `edge http://${address(ports.edge)}`;
  const fork = `fork of ${workloadOf(DEMO_FORK.service)} at ${address(ports.forkProxy)}`;
  return [
    `forklane  ${control}   ${edge}   ${SERVICES_COUNT} services, ${PROXIES_COUNT} proxies`,
    `sandbox ${DEMO_FORK.sandbox} ready in ${Math.round(readyMs)} ms   ${fork}`,
    "",
  ];
}

/** Draws the two arms, and says whether the claim holds. */
export function renderProof(
  evidence: DemoEvidence,
  flaws: readonly string[],
  terminal: Terminal,
): string[] {
  const trees = besideEachOther(
    renderArm(CONTROL_ARM_TAG, evidence.controlArm, terminal),
    renderArm(FORK_TAG, evidence.tagged, terminal),
    terminal.columns,
  );
  return [...trees, "", ...renderVerdict(evidence, flaws, terminal)];
}

function renderArm(tag: string, arm: DemoArm, terminal: Terminal): string[] {
  const { hasColor } = terminal;
  const title = `GET ${DEMO_PATH}   ${KEY_HEADER}: ${tag}`;
  const tree = renderHopTree(arm.trace.hops, { hasColor, siblings: "by-name" });
  return [paint(title, "bold", hasColor), ...tree];
}

function renderVerdict(
  evidence: DemoEvidence,
  flaws: readonly string[],
  { hasColor }: Terminal,
): string[] {
  if (flaws.length > 0) return flaws.map((flaw) => paint(`wrong: ${flaw}`, "red", hasColor));
  const { length } = evidence.tagged.trace.hops;
  const proof = `proof complete: ${length} of ${HOP_WORKLOADS.length} hops recorded, the fork answered, nobody else saw it`;
  return [
    `untagged: answered by the baseline throughout${renderPrices(evidence)}`,
    paint(proof, "green", hasColor),
  ];
}

/** The difference that a customer would see. */
function renderPrices({ untagged, tagged }: DemoEvidence): string {
  return `, ${toPay(untagged)} to pay; ${toPay(tagged.answer)} through the fork`;
}

function toPay({ body }: DemoAnswer): string {
  const cents = (body as { toPayCents?: unknown } | null)?.toPayCents;
  return typeof cents === "number" ? (cents / 100).toFixed(2) : "?";
}

/** Three commands that work as they stand, in the shell that started us. */
export function renderNext(ports: DemoPorts, command: string, isUsualControl: boolean): string[] {
  const url = `http://${address(ports.edge)}${DEMO_PATH}`;
  const control = isUsualControl ? "" : ` --control ${controlUrl(ports)}`;
  const host = `${DEMO_FORK.sandbox}--shop.localhost:${ports.edge}`;
  return [
    "",
    "try next",
    `  curl -s -H '${KEY_HEADER}: ${FORK_TAG}' ${url}`,
    `  ${command} request ${url} --key ${DEMO_FORK.sandbox}${control}`,
    `  ${command} sandbox list${control}`,
    "",
    `or in a browser: http://${host}${DEMO_PATH} (without ${DEMO_FORK.sandbox}--: the baseline)`,
    "Ctrl-C stops all of it",
  ];
}

/**
 * Says how a shell in `folder` starts this command again.
 *
 * A Node inside node_modules came with npm and is not on the path of a shell: `npx` finds it from
 * the folder that has it.
 */
export function commandToRepeat(script: string, execPath: string, folder: string): string {
  const path = relative(folder, script);
  if (path.startsWith("..")) return `${execPath} ${script}`;
  if (/[\\/]node_modules[\\/]/.test(script)) return "npx forklane";
  return /[\\/]node_modules[\\/]/.test(execPath) ? `npx node ${path}` : `node ${path}`;
}
