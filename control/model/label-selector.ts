import { err, ok, type Result } from "../../core/result.ts";
import { CONTROL_LIMITS } from "./limits.ts";

/** Tells whether labels are selected. */
export type LabelSelector = (labels: Readonly<Record<string, string>>) => boolean;

const KEY = "(?:[A-Za-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?";
const VALUE = "(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?";
const EXISTS = new RegExp(`^(!?)\\s*(${KEY})$`);
const EQUALS = new RegExp(`^(${KEY})\\s*(=|==|!=)\\s*(${VALUE})$`);
const IN_SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const LABEL_VALUE = new RegExp(`^${VALUE}$`);
const LABEL_KEY = new RegExp(`^${KEY}$`);

/** Tells whether `text` may be the key of a label (Kubernetes' syntax). */
export function isLabelKey(text: string): boolean {
  return LABEL_KEY.test(text);
}

/** Tells whether `text` may be the value of a label (Kubernetes' syntax). */
export function isLabelValue(text: string): boolean {
  return LABEL_VALUE.test(text);
}

/**
 * Reads a selector in Kubernetes' syntax: `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b)`, `a`,
 * `!a`, joined by commas, all of which must hold; the error names the part that is wrong.
 */
export function parseLabelSelector(text: string): Result<LabelSelector, string> {
  if (text.length > CONTROL_LIMITS.selectorCharsMax) {
    return err(`the selector is longer than ${CONTROL_LIMITS.selectorCharsMax} characters`);
  }
  const parts = splitOutsideParentheses(text);
  if (parts.length > CONTROL_LIMITS.selectorRequirementsMax) {
    return err(`the selector has more than ${CONTROL_LIMITS.selectorRequirementsMax} requirements`);
  }
  const requirements: LabelSelector[] = [];
  for (const part of parts) {
    const requirement = parseRequirement(part);
    if (requirement === null) {
      return err(`"${part}" is no requirement such as a=b, a!=b, a in (b,c), a notin (b), a or !a`);
    }
    requirements.push(requirement);
  }
  return ok((labels) => requirements.every((holds) => holds(labels)));
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")") depth--;
    else if (text[i] === "," && depth === 0) {
      parts.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  parts.push(text.slice(start).trim());
  return parts;
}

function parseRequirement(part: string): LabelSelector | null {
  const exists = EXISTS.exec(part);
  if (exists !== null) {
    const [, not, key = ""] = exists;
    return (labels) => Object.hasOwn(labels, key) === (not === "");
  }
  const equals = EQUALS.exec(part);
  if (equals !== null) {
    const [, key = "", operator, value = ""] = equals;
    if (operator === "!=") return (labels) => labelValue(labels, key) !== value;
    return (labels) => labelValue(labels, key) === value;
  }
  return parseSet(part);
}

function parseSet(part: string): LabelSelector | null {
  const match = IN_SET.exec(part);
  if (match === null) return null;
  const [, key = "", operator, list = ""] = match;
  const values = new Set(list.split(",").map((value) => value.trim()));
  for (const value of values) if (!LABEL_VALUE.test(value)) return null;
  if (operator === "in") {
    return (labels) => Object.hasOwn(labels, key) && values.has(labels[key] ?? "");
  }
  return (labels) => !Object.hasOwn(labels, key) || !values.has(labels[key] ?? "");
}

function labelValue(labels: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
