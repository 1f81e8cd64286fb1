import { expect, test } from "vitest";
import { isLabelKey, isLabelValue, parseLabelSelector } from "./label-selector.ts";
import { CONTROL_LIMITS } from "./limits.ts";

const LABELS = { team: "cart", pr: "118", "example.com/tier": "web" };

function selects(text: string): boolean {
  const selector = parseLabelSelector(text);
  if (!selector.ok) throw new Error(selector.error);
  return selector.value(LABELS);
}

test.each([
  ["team=cart", true],
  ["team==cart", true],
  ["team=checkout", false],
  ["team!=checkout", true],
  ["team!=cart", false],
  ["absent!=x", true],
  ["absent=x", false],
  ["team in (cart,checkout)", true],
  ["team in ( checkout , cart )", true],
  ["absent in (x)", false],
  ["team notin (cart)", false],
  ["absent notin (x)", true],
  ["team", true],
  ["absent", false],
  ["!absent", true],
  ["!team", false],
  ["example.com/tier=web", true],
  ["team=cart,pr in (118,119),!draft", true],
  ["team=cart, pr=7", false],
  ["constructor", false],
])("%s selects: %j", (text, expected) => {
  expect(selects(text)).toBe(expected);
});

test.each([
  "",
  ",",
  "team=",
  "=x",
  "team in cart",
  "team in (a b)",
  "a=b=c",
  "!a=b",
  "a in (b",
  "a>1",
])("%j names what is wrong, or selects an empty value", (text) => {
  const selector = parseLabelSelector(text);
  if (text === "team=") expect(selector.ok).toBe(true);
  else expect(selector.ok).toBe(false);
});

test("a selector has limits in length and in requirements", () => {
  const { selectorCharsMax, selectorRequirementsMax } = CONTROL_LIMITS;
  const long = `${`a=${"b".repeat(63)},`.repeat(15)}a`;
  expect(parseLabelSelector(long.padEnd(selectorCharsMax, "c")).ok).toBe(true);
  expect(parseLabelSelector(long.padEnd(selectorCharsMax + 1, "c")).ok).toBe(false);
  const most = Array.from({ length: selectorRequirementsMax }, (_, i) => `a${i}`);
  expect(parseLabelSelector(most.join(",")).ok).toBe(true);
  expect(parseLabelSelector([...most, "b"].join(",")).ok).toBe(false);
});

test("keys and values of labels follow Kubernetes' syntax and lengths", () => {
  const { labelCharsMax, labelPrefixCharsMax } = CONTROL_LIMITS;
  expect(isLabelKey(`${"a".repeat(labelPrefixCharsMax)}/${"b".repeat(labelCharsMax)}`)).toBe(true);
  expect(isLabelKey("b".repeat(labelCharsMax + 1))).toBe(false);
  expect(isLabelKey(`${"a".repeat(labelPrefixCharsMax + 1)}/b`)).toBe(false);
  expect(isLabelKey("__proto__")).toBe(false);
  expect(isLabelValue("")).toBe(true);
  expect(isLabelValue("v".repeat(labelCharsMax))).toBe(true);
  expect(isLabelValue("v".repeat(labelCharsMax + 1))).toBe(false);
  expect(isLabelValue("a b")).toBe(false);
});
