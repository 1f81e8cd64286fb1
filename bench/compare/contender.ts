import { BenchError } from "../bench-error.ts";
import { forklaneCommand } from "../peers/forklane/build.ts";
import type { CompareOptions } from "../scenario.ts";

/** The programs that are compared, ours first. */
export const PROGRAMS = ["forklane", "nginx", "haproxy", "envoy"] as const;
export type Program = (typeof PROGRAMS)[number];

/** One that takes part: a program, and of Forklane which build of it. */
export interface Contender {
  readonly name: string;
  readonly program: Program;
  /** Script of the command, of a Forklane; otherwise empty. */
  readonly command: string;
}

/** The name of what is judged; further builds have names of their own. */
export const OURS = "forklane";

/** Those that a run was asked for: Forklane, its further builds (`--also`), then the peers. */
export async function findContenders(options: CompareOptions): Promise<Contender[]> {
  const command = await forklaneCommand(options.build);
  const contenders: Contender[] = [{ name: OURS, program: "forklane", command }];
  for (const [name, folder] of Object.entries(options.also)) {
    const isTaken = (PROGRAMS as readonly string[]).includes(name);
    if (isTaken) throw new BenchError(`--also ${name}: that is the name of another proxy`);
    contenders.push({ name, program: "forklane", command: await forklaneCommand(folder) });
  }
  const peers = PROGRAMS.filter((program) => program !== "forklane");
  for (const program of peers.filter((each) => options.peers.includes(each))) {
    contenders.push({ name: program, program, command: "" });
  }
  return contenders;
}
