/** How long a process has to stop by itself once its parent is gone, in milliseconds. */
const ORPHAN_STOP_MS = 2_000;

/**
 * Ends this process when its parent is gone, also after a `kill -9` of the parent.
 *
 * Holds only for a process that was started with an IPC channel, as `forklane start` does it; the
 * kernel closes the channel with the parent. Anybody else's process is left alone.
 */
export function endWithParent(): void {
  if (process.channel === undefined || process.channel === null) return;
  process.once("disconnect", () => {
    setTimeout(() => process.exit(1), ORPHAN_STOP_MS).unref();
    process.kill(process.pid, "SIGTERM");
  });
  process.channel.unref();
}
