import { formatFigure } from "./text-table.ts";

/** A promise of ours about one figure, and what this run says to it. */
export interface Target {
  readonly what: string;
  readonly value: number;
  readonly atMost: number;
  readonly unit: string;
  readonly met: boolean;
}

/** Compares a figure with its bound. */
export function checkTarget(what: string, value: number, atMost: number, unit: string): Target {
  return { what, value, atMost, unit, met: value <= atMost };
}

/** One line for each target; never an exit code, since a busy machine fails any of them. */
export function renderTargets(targets: readonly Target[]): string {
  return targets
    .map((target) => {
      const mark = target.met ? "met    " : "NOT MET";
      const value = `${formatFigure(target.value)} ${target.unit}`;
      return `${mark}  ${target.what}: ${value} (at most ${formatFigure(target.atMost)})`;
    })
    .join("\n");
}
