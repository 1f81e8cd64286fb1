import type { CliContext } from "../context.ts";
import { paint } from "../terminal.ts";

/** Shows what is being done while nothing else can be shown. */
export interface Progress {
  /** Names the step that begins. */
  step(text: string): void;
  /** Removes what only a terminal shows. */
  end(): void;
}

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
const FRAME_MS = 80;
const CLEAR_LINE = "\r\u001b[K";

/** A spinner on a terminal, a plain line for each step without one; always on stderr. */
export function createProgress(context: CliContext): Progress {
  return context.stderrTerminal.isTty ? new Spinner(context) : new StepLines(context);
}

class StepLines implements Progress {
  readonly #context: CliContext;

  constructor(context: CliContext) {
    this.#context = context;
  }

  step(text: string): void {
    this.#context.stderr.write(`${text}\n`);
  }

  end(): void {}
}

class Spinner implements Progress {
  readonly #context: CliContext;
  #text = "";
  #frame = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(context: CliContext) {
    this.#context = context;
  }

  step(text: string): void {
    this.#text = text;
    this.#timer ??= setInterval(() => this.#draw(), FRAME_MS);
    this.#draw();
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#context.stderr.write(CLEAR_LINE);
  }

  #draw(): void {
    const frame = FRAMES[this.#frame++ % FRAMES.length] ?? "";
    const { hasColor, columns } = this.#context.stderrTerminal;
    // A line that wraps could not be cleared.
    const text = this.#text.slice(0, Math.max(columns - 3, 0));
    this.#context.stderr.write(`${CLEAR_LINE}${paint(frame, "green", hasColor)} ${text}`);
  }
}
