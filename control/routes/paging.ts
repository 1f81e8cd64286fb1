import { ControlError } from "../error.ts";
import { type LabelSelector, parseLabelSelector } from "../model/label-selector.ts";
import type { Page } from "../schema/page.ts";

/** Reads a label selector; null where there is none. */
export function readSelector(text: string | undefined): LabelSelector | null {
  if (text === undefined) return null;
  const selector = parseLabelSelector(text);
  if (selector.ok) return selector.value;
  throw new ControlError("query-invalid", `labelSelector: ${selector.error}`);
}

/** Reads a cursor as the name that it stands behind; null for the first page. */
export function readCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const name = Buffer.from(cursor, "base64url").toString();
  if (name !== "" && writeCursor(name) === cursor) return name;
  throw new ControlError("query-invalid", "cursor: is not one that a page gave as `next`");
}

/** Writes the cursor of the page after this name. */
export function writeCursor(name: string): string {
  return Buffer.from(name).toString("base64url");
}

/** Cuts a page out of names that are all at hand. */
export function pageOf<T>(
  names: Iterable<string>,
  query: { readonly limit: number; readonly cursor: string | undefined },
  toItem: (name: string) => T,
): Page<T> {
  const after = readCursor(query.cursor);
  const rest = [...names].filter((name) => after === null || name > after).sort();
  const shown = rest.slice(0, query.limit);
  const last = shown.at(-1);
  const next = rest.length > shown.length && last !== undefined ? writeCursor(last) : null;
  return { items: shown.map(toItem), next };
}
