/** What the command takes from the environment. */
export interface CliConfig {
  /** Base URL of control where no `--control` is given. */
  readonly control: string;
  /** Whether the user asked for plain output (https://no-color.org). */
  readonly noColor: boolean;
}

/** Where control listens when nobody says otherwise. */
export const DEFAULT_CONTROL = "http://127.0.0.1:7070";

/** Reads `FORKLANE_CONTROL` and `NO_COLOR`; an empty variable counts as absent. */
export function readCliConfig(env: NodeJS.ProcessEnv = process.env): CliConfig {
  return {
    control: env["FORKLANE_CONTROL"] || DEFAULT_CONTROL,
    noColor: Boolean(env["NO_COLOR"]),
  };
}

/**
 * The environment for processes whose settings we give by flags: without ours, because what the
 * user set for a proxy of his own would change them all.
 */
export function childEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(FORKLANE|OTEL)_/.test(name)),
  );
}
