import { expect, onTestFinished, test } from "vitest";
import { startDataPlane } from "../harness/data-plane.ts";
import { complaints } from "./complaints.ts";
import { type CorpusCase, readCorpus } from "./parse-corpus.ts";
import { startRecordingUpstream } from "./recording-upstream.ts";
import { runCase } from "./run-case.ts";

/** Every case of the corpus through our proxy, scored from both ends. */
const PATIENCE_MS = 5_000;

test.each([...readCorpus("requests")])("requests: %s", async (_file, cases) => {
  expect(await played(cases, false)).toEqual([]);
});

test.each([...readCorpus("responses")])("responses: %s", async (_file, cases) => {
  expect(await played(cases, true)).toEqual([]);
});

test("the corpus is as large as it has to be", () => {
  const count = (folder: "requests" | "responses") =>
    [...readCorpus(folder).values()].flat().length;
  expect(count("requests")).toBeGreaterThanOrEqual(350);
  expect(count("responses")).toBeGreaterThanOrEqual(100);
});

async function played(cases: readonly CorpusCase[], isFreshEachTime: boolean): Promise<string[]> {
  const upstream = await startRecordingUpstream(isFreshEachTime);
  onTestFinished(upstream.close);
  const { port } = await startDataPlane({
    baseline: `127.0.0.1:${upstream.port}`,
    table: { revision: 1, routes: {}, known: ["jane-42"] },
  });
  const found: string[] = [];
  for (const it of cases) {
    const seen = await runCase({ port, upstream }, it, {
      marker: "after",
      patienceMs: PATIENCE_MS,
    });
    found.push(...complaints(it, seen));
  }
  return found;
}
