/** One property that a write would change. */
export interface Difference {
  /** JSON pointer (RFC 6901). */
  readonly path: string;
  /** Absent where the property is new. */
  readonly from?: unknown;
  /** Absent where the property goes. */
  readonly to?: unknown;
}

/** Lists where two JSON documents differ, deepest property first named; arrays compare by index. */
export function differences(from: unknown, to: unknown, path = ""): Difference[] {
  if (isContainer(from) && isContainer(to) && Array.isArray(from) === Array.isArray(to)) {
    const keys = new Set([...Object.keys(from), ...Object.keys(to)]);
    return [...keys].flatMap((key) =>
      differences(from[key], to[key], `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`),
    );
  }
  if (JSON.stringify(from) === JSON.stringify(to)) return [];
  return [{ path, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }];
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
