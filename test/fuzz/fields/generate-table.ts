import type { Dice } from "../../harness/dice.ts";

/** A table as JSON, with some of its values replaced: what a file or a broken control may hold. */
export function tableText(dice: Dice): string {
  const table = dice.oneIn(2) ? shortTable(dice) : longTable(dice);
  return JSON.stringify(broken(dice, table));
}

function shortTable(dice: Dice): unknown {
  return { revision: dice.pick([1, "e1.4"]), routes: routes(dice), ...keys(dice) };
}

function longTable(dice: Dice): unknown {
  const workload = {
    hosts: ["cart.shop", "cart:80"],
    addresses: ["10.0.0.1", "10.0.0.2:80", "::1", "[::1]:80"],
    baseline: "10.0.0.9:80",
    routes: routes(dice),
  };
  return {
    revision: "8f3a",
    workloads: { "shop/cart": workload, "shop/price": { routes: {} } },
    ...keys(dice),
  };
}

function routes(dice: Dice): unknown {
  const route = { sandbox: "jane", endpoints: ["10.0.0.1:80"], onUnavailable: "fail" };
  return { "jane-42": route, [dice.pick(["pr-1", "pr-12"])]: { sandbox: "pr", endpoints: [] } };
}

function keys(dice: Dice): object {
  return dice.oneIn(3) ? {} : { known: ["pr-1", "abc"], expired: ["old"] };
}

/** Replaces, renames or removes something in one of two cases, at any depth. */
function broken(dice: Dice, value: unknown): unknown {
  if (dice.oneIn(14)) return dice.pick(HOSTILE);
  if (Array.isArray(value)) return value.map((item) => broken(dice, item));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).flatMap(([name, item]) => {
    if (dice.oneIn(30)) return [];
    return [[dice.oneIn(30) ? dice.pick(HOSTILE_NAMES) : name, broken(dice, item)] as const];
  });
  // Object.fromEntries defines, as JSON.parse does: `__proto__` is a name like others.
  return Object.fromEntries(entries);
}

const HOSTILE_NAMES = [
  "__proto__",
  "constructor",
  "",
  "Jane",
  "a--b",
  "jane-42.base",
  "x".repeat(300),
  "shop/",
  "a/b/c",
];
const HOSTILE: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e21,
  "",
  "jane",
  "jane-42!",
  "\u0000",
  "x".repeat(300),
  "10.0.0.1",
  "10.0.0.1:0",
  "10.0.0.1:65536",
  "10.0.0.01:80",
  "10.0.0.256",
  "1.2.3.4.5",
  "::ffff:1.2.3.4",
  ":::",
  "1::2::3",
  "fe80::1%eth0",
  "[::1]",
  "[::1]:80",
  "::1:80",
  "cart",
  "Cart:80",
  "a b:80",
  "fail",
  "baseline",
  [],
  [[]],
  ["jane-42", "jane-42"],
  {},
  { routes: {} },
];
