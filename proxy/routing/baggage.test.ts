import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lastMember, withMember, withoutMembers } from "./baggage.ts";

describe("a member that is set", () => {
  test.each([
    ["", "x=1"],
    ["a=1", "x=1,a=1"],
    ["x=0", "x=1"],
    ["a=1,x=0,b=2", "x=1,a=1,b=2"],
    ["x=0,a=1", "x=1,a=1"],
    ["a=1, x = 0;p=1 ,b=2", "x=1,a=1,b=2"],
    ["x=0,x=2,a=1,x", "x=1,a=1"],
    ["xx=1,yx=2,a=x", "x=1,xx=1,yx=2,a=x"],
    ["a=1,,b = 2 ;p", "x=1,a=1,,b = 2 ;p"],
  ])("%j becomes %j", (value, expected) => {
    expect(withMember(value, "x", "1")).toBe(expected);
  });
});

describe("members that are removed", () => {
  test.each([
    ["a=1,b=2", "a=1,b=2"],
    ["x=1", ""],
    ["x=1,y=2", ""],
    [" x = 1 , a=1", "a=1"],
    ["a=1, x=1, b=2,y", "a=1, b=2"],
    ["a=1,x;p,", "a=1,"],
    ["a=1;x=1,b=x=1", "a=1;x=1,b=x=1"],
  ])("%j becomes %j", (value, expected) => {
    expect(withoutMembers(value, ["x", "y"])).toBe(expected);
  });

  test("without any of them the value stays the one it was", () => {
    const value = " a=1 ,, b=2 ";
    expect(withoutMembers(value, ["x"])).toBe(value);
    expect(withoutMembers(value, [])).toBe(value);
  });
});

test("all other members stay byte for byte and in order, whatever the value is", () => {
  const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(charOf) });
  const member = fc.oneof(latin1, fc.constantFrom("x=1", " x = 2 ;p", "x", "xx=1", "a=1", ""));
  fc.assert(
    fc.property(fc.array(member), (parts) => {
      const value = parts.join(",");
      const others = value.split(",").filter((part) => !/^[ \t]*x[ \t]*(?:[=;]|$)/.test(part));
      const kept = withMember(value, "x", "new").split(",");
      expect(kept[0]).toBe("x=new");
      const rest = kept.slice(1);
      const isUntouched = others.length === value.split(",").length;
      const expected = others.join(",");
      const isNothingLeft = !isUntouched && /^[ \t]*$/.test(expected);
      expect(rest.join(",")).toBe(isNothingLeft ? "" : expected);
    }),
  );
});

test("a member without a value has an empty one", () => {
  expect(lastMember("x", "x")).toBe("");
  expect(lastMember("x=,y=1", "x")).toBe("");
  expect(lastMember("x ;p", "x")).toBe(";p");
  expect(lastMember("x y=1", "x")).toBeNull();
});

test("of two members the last one is read", () => {
  expect(lastMember("x=1, x = 2 ;p=x , y=3", "x")).toBe("2 ;p=x");
});

function charOf(code: number): string {
  return String.fromCharCode(code);
}
