/** A process of its own that writes sandboxes as fast as it can and says which are kept. */
import { CONTROL_LIMITS } from "../../model/limits.ts";
import { putSandboxChange } from "./change.fake.ts";
import { SqliteStore } from "./store.ts";

const file = process.argv[2] ?? "";
const store = SqliteStore.open({ file, limits: CONTROL_LIMITS, wantsNewEpoch: false });
for (let i = 0; ; i++) {
  const result = await store.commit([putSandboxChange(`s-${i}`)]);
  if (!result.ok) throw new Error(result.error.code);
  process.stdout.write(`${i}\n`);
  // Now and then the parent may read, and kill in the middle of something else.
  if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
}
