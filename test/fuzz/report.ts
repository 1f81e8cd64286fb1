import type { Finding } from "./check.ts";
import type { Run, Tried } from "./fuzzer.ts";
import type { Input } from "./input.ts";
import { NODE_RULES } from "./node-rules.ts";

/** `inputs tried: 1,000 (requests 667, responses 333, ...)`. */
export function triedText(tried: Tried): string {
  const { inputs, ...parts } = tried;
  const counts = Object.entries(parts).map(([name, count]) => `${name} ${figure(count)}`);
  return `inputs tried: ${figure(inputs)} (${counts.join(", ")})`;
}

/** Each known difference from Node's parser with how often it was met, a line each; last, those that were not. */
export function rulesText({ rules }: Run): string {
  const met = NODE_RULES.filter(({ name }) => rules.has(name));
  const names = [...new Set(met.map(({ name }) => name))];
  const lines = names.map((name) => `  ${name}: ${figure(rules.get(name) ?? 0)}`);
  const unmet = NODE_RULES.filter(({ name }) => !rules.has(name)).map(({ name }) => name);
  return [...lines, `  not met: ${unmet.join(", ") || "none"}`].join("\n");
}

/** What was found, so that it can be read, repeated, and kept in kept.json. */
export function findingText(seed: number | null, found: Finding): string {
  const from = seed === null ? "" : `, seed ${seed}`;
  return [
    `finding (${found.check})${from}`,
    `  input     ${inputText(found.input)}`,
    `  ours      ${indented(found.ours)}`,
    `  expected  ${indented(found.expected)}`,
    `  node      ${indented(found.node)}`,
  ].join("\n");
}

/** An input as one line of JSON, for kept.json; what is not ASCII is escaped. */
export function inputText({ kind, methods, limits, text }: Input): string {
  return escaped(JSON.stringify({ kind, methods, limits, text }));
}

function indented(text: string): string {
  return text
    .split("\n")
    .map((line) => escaped(JSON.stringify(line).slice(1, -1)))
    .join("\n            ");
}

function escaped(json: string): string {
  return json.replaceAll(/[\x7f-\xff]/g, (byte) => {
    return `\\u${byte.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function figure(count: number): string {
  return count.toLocaleString("en");
}
