/**
 * Measures each of `names` once a round, so that whatever else the machine does hits all alike.
 *
 * Each round begins with another one: the first of a round may find caches that the last one left.
 */
export async function interleave<Sample>(
  names: readonly string[],
  rounds: number,
  measure: (name: string, round: number) => Promise<Sample>,
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of rotate(names, round)) {
      samples.get(name)?.push(await measure(name, round));
    }
  }
  return samples;
}

/** The same things in the same order, beginning with another one. */
export function rotate<Thing>(things: readonly Thing[], by: number): Thing[] {
  const start = things.length === 0 ? 0 : by % things.length;
  return [...things.slice(start), ...things.slice(0, start)];
}
