import { expect, test } from "vitest";
import { findProgram, findVersion } from "./program.ts";

test("a version is found in whatever a program says of itself", () => {
  expect(findVersion("nginx version: nginx/1.22.1")).toBe("1.22.1");
  expect(findVersion("HAProxy version 2.6.12-1+deb12u4 2026/10/17")).toBe("2.6.12");
  expect(findVersion("wrk debian/4.1.0-3+b2 [epoll]")).toBe("4.1.0");
  expect(findVersion("")).toBe("unknown");
});

test("a program that is missing is named, with what installs it", async () => {
  await expect(findProgram("no-such-proxy")).rejects.toThrow(
    "no-such-proxy is not installed; run test/tools/install.sh bench",
  );
});
