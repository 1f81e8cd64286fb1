import { randomFillSync } from "node:crypto";

/** Random bytes are drawn for this many ids at once. */
const POOL_IDS = 256;
const ID_BYTES = 8;
const pool = Buffer.alloc(POOL_IDS * ID_BYTES);
let used = POOL_IDS;

/** A new id of a hop or of a root: 64 random bits as 16 lower-case hex characters. */
export function newHopId(): string {
  if (used === POOL_IDS) {
    randomFillSync(pool);
    used = 0;
  }
  const at = used++ * ID_BYTES;
  return pool.toString("hex", at, at + ID_BYTES);
}
