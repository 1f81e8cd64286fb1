/**
 * The process that causes load and measures latency: `node load-main.ts PLAN` (LoadPlan as JSON).
 *
 * It spins between requests instead of sleeping: a timer of Node is a millisecond coarse, which is
 * more than what is measured.
 */
import { FixedRate } from "./fixed-rate.ts";
import { LoadConnection } from "./load-connection.ts";
import type { LoadPlan, LoadReport } from "./load-plan.ts";
import { LoadSamples } from "./load-samples.ts";

/**
 * The load was kept from its CPU, or collected its garbage: what fell due meanwhile is left out, and
 * counted. Sent now, all at once, it would show how fast somebody works off a queue that we made.
 */
const AWAY_MS_MAX = 0.5;

const plan = JSON.parse(process.argv[2] ?? "") as LoadPlan;
const report = await measure(plan);
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);

async function measure(asked: LoadPlan): Promise<LoadReport> {
  const samples = new LoadSamples(asked, performance.now());
  if (asked.shape === "back-to-back") await sendBackToBack(asked, samples);
  else await sendAtFixedRate(asked, samples);
  return samples.report();
}

function sendBackToBack(asked: LoadPlan, samples: LoadSamples): Promise<void> {
  return new Promise((resolve, reject) => {
    const answered = (connection: LoadConnection): void => {
      const nowMs = performance.now();
      samples.add(connection.dueMs, nowMs, 0);
      if (samples.isOver(nowMs)) resolve();
      else connection.send(performance.now());
    };
    openAll(asked, answered, reject)
      .then((connections) => {
        for (const connection of connections) connection.send(performance.now());
      })
      .catch(reject);
  });
}

function sendAtFixedRate(asked: LoadPlan, samples: LoadSamples): Promise<void> {
  return new Promise((resolve, reject) => {
    const idle: LoadConnection[] = [];
    const lateMs = new Map<LoadConnection, number>();
    const answered = (connection: LoadConnection): void => {
      samples.add(connection.dueMs, performance.now(), lateMs.get(connection) ?? 0);
      idle.push(connection);
    };
    let lastMs = performance.now();
    const spin = (rate: FixedRate): void => {
      const nowMs = performance.now();
      if (samples.isOver(nowMs)) {
        resolve();
        return;
      }
      if (nowMs - lastMs > AWAY_MS_MAX) samples.leaveOut(rate.leaveOut(lastMs, nowMs), nowMs);
      lastMs = nowMs;
      while (idle.length > 0) {
        const dueMs = rate.take(nowMs);
        const connection = dueMs === null ? undefined : idle.pop();
        if (dueMs === null || connection === undefined) break;
        lateMs.set(connection, nowMs - dueMs);
        connection.send(dueMs);
      }
      setImmediate(spin, rate);
    };
    openAll(asked, answered, reject)
      .then((connections) => {
        idle.push(...connections);
        spin(new FixedRate(performance.now(), asked.ratePerSecond));
      })
      .catch(reject);
  });
}

function openAll(
  asked: LoadPlan,
  answered: (connection: LoadConnection) => void,
  failed: (error: Error) => void,
): Promise<LoadConnection[]> {
  const fields = asked.fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const request = Buffer.from(`GET ${asked.path} HTTP/1.1\r\nhost: bench.test\r\n${fields}\r\n`);
  const opening: Promise<LoadConnection>[] = [];
  for (let i = 0; i < asked.connections; i++) {
    opening.push(LoadConnection.open(asked, request, answered, failed));
  }
  return Promise.all(opening);
}
