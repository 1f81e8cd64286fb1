import { openSync } from "node:fs";
import { expect, onTestFinished, test, vi } from "vitest";
import { ListeningSocket } from "./listening-socket.ts";
import { Successor } from "./successor.ts";

test("a successor that is not ready is waited for a minute", async () => {
  const address = { host: "127.0.0.1", port: 0 };
  const listen = ListeningSocket.inherited(address, address, openSync("/dev/null", "r"));
  // It runs what this process was started with.
  const { argv, execArgv } = process;
  const idle = ["-e", "setInterval(() => {}, 1_000)"];
  Object.assign(process, { argv: [process.execPath, ...idle], execArgv: [] });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const successor = new Successor({ generation: 2, listen, admin: null });
  onTestFinished(() => {
    vi.useRealTimers();
    Object.assign(process, { argv, execArgv });
    successor.kill();
    listen.close();
  });
  vi.advanceTimersByTime(59_999);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(1);
  expect(await successor.ready).toBe("it is not ready after 60 s");
});
