import { expect, test } from "vitest";
import { bequeath, INHERITANCE_VARIABLE, type Inheritance, readInheritance } from "./config.ts";

const configured = { host: "127.0.0.1", port: 0 };
const bound = { host: "127.0.0.1", port: 8110 };
const ESTATE: Inheritance = { generation: 2, listen: { configured, bound, fd: 4 }, admin: null };

test("what one generation hands down the next one reads, and nobody else has any", () => {
  expect(readInheritance({})).toBeNull();
  expect(readInheritance({ [INHERITANCE_VARIABLE]: "" })).toBeNull();
  const env = bequeath(ESTATE, { HOME: "/", [INHERITANCE_VARIABLE]: "of the generation before" });
  expect(env["HOME"]).toBe("/");
  expect(readInheritance(env)).toEqual(ESTATE);
  const admin = { configured, bound, fd: 5 };
  expect(readInheritance(bequeath({ ...ESTATE, admin }, {}))).toEqual({ ...ESTATE, admin });
});

test.each([
  "x",
  "null",
  "{}",
  JSON.stringify({ ...ESTATE, generation: "2" }),
  JSON.stringify({ ...ESTATE, listen: { ...ESTATE.listen, fd: null } }),
  JSON.stringify({ ...ESTATE, listen: { fd: 4 } }),
  JSON.stringify({ ...ESTATE, admin: {} }),
])("the variable is refused by its name where it says %s", (text) => {
  const read = () => readInheritance({ [INHERITANCE_VARIABLE]: text });
  expect(read).toThrow(`${INHERITANCE_VARIABLE}: is for a proxy that hands over only`);
});
