/**
 * Flags that make a Node process write a CPU profile when it stops; none where `folder` is null.
 *
 * The name is what measure/read-profiles.ts looks for.
 */
export function profileFlags(name: string, folder: string | null): string[] {
  if (folder === null) return [];
  const file = `forklane-${name}-${Date.now()}.cpuprofile`;
  return ["--cpu-prof", "--cpu-prof-dir", folder, "--cpu-prof-name", file];
}
