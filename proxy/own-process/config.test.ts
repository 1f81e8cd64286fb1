import { expect, test } from "vitest";
import { FLAGS_VARIABLE, readFlags, withFlags } from "./config.ts";

test("flags arrive as they were given, beside the rest of the environment", () => {
  const flags = { listen: "127.0.0.1:0", "probe-path": "/a,/b", instance: "" };
  const env = withFlags(flags, { HOME: "/root", GONE: undefined });
  expect(env["HOME"]).toBe("/root");
  expect("GONE" in env).toBe(false);
  expect(readFlags(env)).toEqual(flags);
});

test.each([undefined, "", "{", "null", "[1]", '{"listen":1}', '"listen"'])(
  "%s in their place is refused by name",
  (text) => {
    expect(() => readFlags({ [FLAGS_VARIABLE]: text })).toThrow(FLAGS_VARIABLE);
  },
);
