import { expect, test } from "vitest";
import { readControlConfig } from "./config.ts";

test("without settings control binds loopback and keeps its store in a file", () => {
  const config = readControlConfig({}, {});
  expect(config).toMatchObject({
    ok: true,
    value: {
      listen: { host: "127.0.0.1", port: 7070 },
      data: "forklane.db",
      newEpoch: false,
      logLevel: "warn",
    },
  });
  expect(config.ok && config.value.allowedNetworks.includes("10.1.2.3")).toBe(true);
  expect(config.ok && Object.isFrozen(config.value)).toBe(true);
});

test("a flag wins over its variable, and an empty variable counts as absent", () => {
  const env = { FORKLANE_CONTROL_DATA: "env.db", FORKLANE_CONTROL_LOG_LEVEL: "" };
  const read = (flags: Record<string, string>) => {
    const config = readControlConfig(flags, env);
    return config.ok ? [config.value.data, config.value.logLevel] : null;
  };
  expect(read({})).toEqual(["env.db", "warn"]);
  expect(read({ data: ":memory:", "log-level": "info" })).toEqual([null, "info"]);
});

test.each([
  ["127.0.0.1:0", "127.0.0.1"],
  ["127.9.9.9:1", "127.9.9.9"],
  ["[::1]:7070", "::1"],
  ["localhost:7070", "127.0.0.1"],
])("%s is loopback", (listen, host) => {
  expect(readControlConfig({ listen }, {})).toMatchObject({
    ok: true,
    value: { listen: { host } },
  });
});

test.each([
  [{ listen: "0.0.0.0:7070" }, "listen", "0.0.0.0:7070"],
  [{ listen: "[::]:7070" }, "listen", "[::]:7070"],
  [{ listen: "10.0.0.1:7070" }, "listen", "10.0.0.1"],
  [{ listen: "control.example:7070" }, "listen", "control.example"],
  [{ listen: "7070" }, "listen", "7070"],
  [{ "allowed-networks": "10.0.0.0/8,all" }, "allowed-networks", "all"],
  [{ "log-level": "loud" }, "log-level", "silent, error, warn, info, debug"],
  [{ "new-epoch": "maybe" }, "new-epoch", "maybe"],
  [{ data: "" }, "data", ":memory:"],
  [{ colour: "red" }, "colour", "--colour"],
])("%j is refused, naming the setting, its value and what is allowed", (flags, setting, text) => {
  const config = readControlConfig(flags, {});
  expect(config.ok).toBe(false);
  expect(config).toHaveProperty("error", expect.stringContaining(setting));
  expect(config).toHaveProperty("error", expect.stringContaining(text));
});
