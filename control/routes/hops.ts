import type { Static, TSchema } from "typebox";
import type { HopBatch, HopRecord } from "../../core/hop-record.ts";
import type { Observation } from "../../core/observation.ts";
import { ControlError } from "../error.ts";
import { HopBatchSchema, HopRecordSchema } from "../schema/hop.ts";
import { ObservationSchema } from "../schema/run.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { NO_CONTENT } from "./responses.ts";
import { checkShape, keepKnown } from "./shape.ts";

/**
 * `POST /v1/hops`: what proxies recorded and observed, in batches of NDJSON.
 *
 * Before: server.ts. After: evidence/evidence.ts, evidence/runs.ts, watch/flush.ts.
 * Invariants: a batch is taken whole or refused whole; what control does not know of a line is not kept.
 */
export async function addHopRoute(app: ControlApp, context: ControlContext): Promise<void> {
  // Its own scope: no other route takes this media type, and this one takes no other.
  await app.register((scope, _options, registered) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      "application/x-ndjson",
      { parseAs: "string" },
      (_request, text, done) => done(null, text),
    );
    scope.post(
      "/v1/hops",
      {
        schema: {
          summary:
            "Report hop records: HopBatch, then a HopRecord or an Observation a line (core/hop-record.ts, core/observation.ts)",
          consumes: ["application/x-ndjson"],
          response: NO_CONTENT,
        },
      },
      async (request, reply) => {
        take(context, String(request.body ?? ""));
        reply.code(204);
      },
    );
    registered();
  });
}

function take(context: ControlContext, text: string): void {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const { batch }: HopBatch = checkShape(HopBatchSchema, parseLine(lines, 0), "record-invalid");
  const records: HopRecord[] = [];
  const observations: Observation[] = [];
  for (let index = 1; index < lines.length; index++) {
    const value = parseLine(lines, index);
    if (isObservation(value)) observations.push(readLine(ObservationSchema, value, index));
    else records.push(readLine(HopRecordSchema, value, index));
  }
  context.evidence.add(batch, records);
  context.runs.add(batch, records, observations);
  for (const record of records) tellExchange(context, record);
  if (batch.flush !== null) context.flushes.answered(batch.flush, batch.proxy);
}

function isObservation(value: unknown): boolean {
  return (value as { kind?: unknown } | null)?.kind === "observation";
}

function readLine<T extends TSchema>(schema: T, value: unknown, index: number): Static<T> {
  try {
    return keepKnown(schema, checkShape(schema, value, "record-invalid"));
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    const detail = `line ${index + 1}: ${error.message}`;
    throw new ControlError("record-invalid", detail, { errors: error.errors, cause: error });
  }
}

function parseLine(lines: readonly string[], index: number): unknown {
  try {
    return JSON.parse(lines[index] ?? "");
  } catch (error) {
    throw new ControlError("record-invalid", `line ${index + 1} is no JSON`, { cause: error });
  }
}

/** An exchange concerns the sandbox that has its key, and the one whose fork it would have met. */
function tellExchange(context: ControlContext, record: HopRecord): void {
  const owner = context.live.tables.ownerOf(record.key);
  if (owner === null) return;
  const topic = `exchanges of ${owner}`;
  if (context.feed.hasReaders(topic)) context.feed.tell(topic, "exchange", record);
}
