/**
 * The grammar of a routing key: `[a-z0-9]([a-z0-9-]{1,38}[a-z0-9])` without `--`.
 *
 * It has to fit a DNS label beside a host (`<key>--shop.example.com`), and a key is never
 * a part of another one by accident, so it is parsed whole, never searched for.
 */
const ROUTING_KEY = /^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$/;

/** What follows the routing key of a sandbox to name its control arm, which forks nothing. */
export const CONTROL_ARM_SUFFIX = ".base";

/** Tells whether `text` may be a routing key: 3 to 40 characters, no `--`. */
export function isRoutingKey(text: string): boolean {
  return ROUTING_KEY.test(text) && !text.includes("--");
}
