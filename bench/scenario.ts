import type { Children } from "./host/child.ts";
import type { Target } from "./measure/target.ts";

/** What requests carry: no routing key, or one that leads to a fork. */
export const TRAFFICS = ["untagged", "tagged"] as const;

/** One of TRAFFICS. */
export type Traffic = (typeof TRAFFICS)[number];

/** What only the scenario `compare` was asked for. */
export interface CompareOptions {
  /** Names of its cases; null: all. */
  readonly only: readonly string[] | null;
  /** Programs to compare with. */
  readonly peers: readonly string[];
  /** Folder of the build of Forklane that is judged; null: one of this checkout, made now. */
  readonly build: string | null;
  /** Further builds of Forklane, name to folder: before and after in one run. */
  readonly also: Readonly<Record<string, string>>;
}

/** What a run was asked for. */
export interface ScenarioOptions {
  /** Only shows that the scenario runs: one round of a moment. Its figures say nothing. */
  readonly short: boolean;
  readonly rounds: number;
  /** Length of one measurement. */
  readonly seconds: number;
  /** How many sandboxes the tables hold. */
  readonly sandboxes: number;
  readonly traffics: readonly Traffic[];
  /** Whether Forklane writes its access log (to nowhere): tagged requests only, by default. */
  readonly accessLog: boolean;
  /** Folder for CPU profiles of Forklane; null: none are taken. */
  readonly profileFolder: string | null;
  readonly compare: CompareOptions;
}

/** What a scenario works with. */
export interface Bench {
  readonly options: ScenarioOptions;
  readonly children: Children;
  /** An empty folder, removed after the run. */
  readonly folder: string;
  /** Tells the user how far the run is. */
  readonly say: (line: string) => void;
}

/** What a scenario found. */
export interface Findings {
  /** The table for people. */
  readonly text: string;
  /** The same for machines. */
  readonly rows: readonly object[];
  readonly targets: readonly Target[];
  /** Program to version. */
  readonly versions: Readonly<Record<string, string>>;
  /** An SVG of them, where there is one. */
  readonly plot?: string;
}

/** How much time is spent, unless the command line says so. */
export interface Effort {
  readonly rounds: number;
  /** Length of one measurement. */
  readonly seconds: number;
}

/** One thing to measure. */
export interface Scenario {
  readonly about: string;
  readonly effort?: Effort;
  run(bench: Bench): Promise<Findings>;
}
