import { Command, InvalidArgumentError } from "commander";
import type { CliContext } from "../context.ts";
import { type BrokenClient, parseBreak, VARIANT_NAMES } from "../demo/broken-client.ts";
import { PORT_BASE_MAX } from "../demo/ports.ts";

interface StartFlags {
  readonly once?: boolean;
  readonly portBase?: number;
  readonly data?: string;
  readonly break?: BrokenClient;
  readonly json?: boolean;
}

/** `forklane start` */
export function startCommand(context: CliContext): Command {
  return new Command("start")
    .option("--once", "prove the claim and end: exit 0, or 1 saying what was wrong")
    .option("--port-base <port>", "first of the ports to use; fails if one is taken", readPortBase)
    .option("--data <file>", "control's store (default: forklane.db; with --once a temporary one)")
    .option(
      "--break <name-client[=variant]>",
      `then let the client of one service lose the tag, and the doctor find it (${VARIANT_NAMES.join(", ")})`,
      readBreak,
    )
    .option("--json", "print the evidence as JSON")
    .action(async (flags: StartFlags) => {
      const { start } = await import("../demo/start.ts");
      await start(context, {
        once: flags.once === true,
        portBase: flags.portBase ?? null,
        data: flags.data ?? null,
        broken: flags.break ?? null,
        json: flags.json === true,
      });
    });
}

function readBreak(text: string): BrokenClient {
  const broken = parseBreak(text);
  if (broken.ok) return broken.value;
  throw new InvalidArgumentError(broken.error);
}

function readPortBase(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= PORT_BASE_MAX) return port;
  throw new InvalidArgumentError(`It is a port from 1 to ${PORT_BASE_MAX}.`);
}
