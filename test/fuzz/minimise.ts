import { check, type Finding, SUBJECTS, type Subjects } from "./check.ts";
import type { Input } from "./input.ts";

/**
 * Makes the input of a finding as small as it gets while the same check fails: delta debugging on
 * bytes, then limits and methods.
 */
export function minimise(found: Finding, subjects: Subjects = SUBJECTS): Finding {
  let smallest = found;
  let tries = 0;
  const keep = (input: Input): boolean => {
    const again = ++tries > TRIES_MAX ? null : recheck(input, found.check, subjects);
    if (again !== null) smallest = again;
    return again !== null;
  };
  removeLines(smallest.input, keep);
  for (let bytes = found.input.text.length; bytes > 0; ) {
    const removed = removePieces(smallest.input, Math.ceil(bytes / 2), keep);
    // At single bytes it goes on for as long as that helps.
    bytes = bytes > 1 || removed === 0 ? Math.floor(bytes / 2) : bytes;
  }
  keep({ ...smallest.input, limits: "default" });
  keep({ ...smallest.input, methods: [] });
  return smallest;
}

/** What is not small by then stays as it is: a run has to come to an end. */
const TRIES_MAX = 2_000;

/** A part of a text that the check does not need is mostly a run of whole lines. */
function removeLines(input: Input, keep: (input: Input) => boolean): void {
  let lines = input.text.split(/(?<=\n)/);
  if (lines.length > LINES_MAX) return;
  for (let count = lines.length; count > 0; count--) {
    for (let at = 0; at + count <= lines.length; at++) {
      const fewer = lines.toSpliced(at, count);
      if (keep({ ...input, text: fewer.join("") })) lines = fewer;
    }
  }
}

/** The tries are as many as its square, half of it. */
const LINES_MAX = 50;

/** Tries to do without each piece of `bytes` bytes, the last first; returns how many went. */
function removePieces(input: Input, bytes: number, keep: (input: Input) => boolean): number {
  let text = input.text;
  let removed = 0;
  for (let at = text.length - bytes; at > -bytes; at -= bytes) {
    const start = Math.max(at, 0);
    const shorter = text.slice(0, start) + text.slice(at + bytes);
    if (!keep({ ...input, text: shorter })) continue;
    text = shorter;
    removed++;
  }
  return removed;
}

/** The same check once more, where it may matter also with the bytes in pieces. */
function recheck(input: Input, failing: Finding["check"], subjects: Subjects): Finding | null {
  for (const cuts of cutsToTry(input.text.length, failing)) {
    const found = check(input, { cuts, isPassedOn: true }, subjects);
    if (found?.check === failing) return found;
  }
  return null;
}

/** In one piece, byte by byte, and for what is read in two pieces as well: those cost little. */
function cutsToTry(
  bytes: number,
  failing: Finding["check"],
): readonly (readonly number[] | null)[] {
  const each = Array.from({ length: Math.max(bytes - 1, 0) }, (_, i) => i + 1);
  if (failing === "split") return [each, ...each.map((cut) => [cut])];
  return failing === "forwarded" || failing === "relayed" ? [null, each] : [null];
}
