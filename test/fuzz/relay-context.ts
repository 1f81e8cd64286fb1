import { throwAgain } from "../../core/invariant.ts";
import { Ticker } from "../../core/ticker.ts";
import type { ExchangeContext } from "../../proxy/exchange/context.ts";
import { exchangeContext } from "../../proxy/exchange/exchange-context.fake.ts";
import { UpstreamPool } from "../../proxy/upstream/pool.ts";
import { type Input, LIMITS } from "./input.ts";

/**
 * A proxy's context for one input, new but for what no input changes. No field carries a tag: what
 * tags do to a message has its own tests.
 */
export function contextOf(input: Input): ExchangeContext {
  const context = CONTEXTS[input.limits];
  const ticker = new Ticker(() => 0);
  ticker.stop();
  return { ...context, ticker, pool: new UpstreamPool(context.limits, ticker, throwAgain) };
}

const CONTEXTS: Readonly<Record<Input["limits"], ExchangeContext>> = {
  default: withLimits("default"),
  small: withLimits("small"),
  wide: withLimits("wide"),
};

function withLimits(name: Input["limits"]): ExchangeContext {
  // Less than the 64 KiB of a proxy: a buffer of that size for each input is what a run would wait for.
  const limits = { ...LIMITS[name], readBufferBytes: 1_024 };
  return exchangeContext({ limits, carriers: "header:x-no-carrier" });
}
