/**
 * The version of one state of the routing tables, as text `<epoch>.<version>`.
 *
 * Clients treat it as opaque. A proxy orders two of them so that an older state never replaces
 * a newer one: within an epoch (the identity of the store) the version grows; another epoch is
 * another history and can only be taken as a whole snapshot. With several sources there are
 * several versions (`<epoch>.<v1>.<v2>`), and newer means that none went back.
 */
export type RevisionOrder = "same" | "newer" | "older" | "unrelated";

const REVISION = /^[a-z0-9]{1,32}(?:\.[0-9]{1,15}){1,8}$/;

/** Tells whether `text` is a revision. */
export function isRevision(text: string): boolean {
  return REVISION.test(text);
}

/** Writes the revision of one version, or one version for each source. */
export function formatRevision(epoch: string, ...versions: number[]): string {
  return `${epoch}.${versions.join(".")}`;
}

/**
 * Says how `next` stands to `current`: `newer` only if no version went back and one grew,
 * `unrelated` if the epochs or the number of sources differ, or one is no revision.
 */
export function compareRevisions(next: string, current: string): RevisionOrder {
  if (next === current) return "same";
  if (!isRevision(next) || !isRevision(current)) return "unrelated";
  const a = next.split(".");
  const b = current.split(".");
  if (a[0] !== b[0] || a.length !== b.length) return "unrelated";
  for (let i = 1; i < a.length; i++) {
    if (Number(a[i]) < Number(b[i])) return "older";
  }
  return "newer";
}
