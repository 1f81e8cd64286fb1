import fc from "fast-check";

/**
 * What properties are tried with: the same in each run, so that a run tries what was tried before the
 * commit. FORKLANE_PROPERTY_SEED chooses other examples.
 */
const SEED = Number(process.env["FORKLANE_PROPERTY_SEED"] ?? 20_260_101);

if (!Number.isSafeInteger(SEED)) throw new Error("FORKLANE_PROPERTY_SEED is not a whole number");

fc.configureGlobal({ seed: SEED });
