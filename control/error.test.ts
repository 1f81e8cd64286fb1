import { expect, test } from "vitest";
import { CONTROL_ERRORS, ControlError, problemOf } from "./error.ts";

test("each code has a failure status, says what it means and what to do", () => {
  for (const [code, row] of Object.entries(CONTROL_ERRORS)) {
    expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(row.status).toBeGreaterThanOrEqual(400);
    expect(row.title.length * row.fix.length).toBeGreaterThan(0);
  }
});

test("a failure becomes a problem document, with errors only where there are some", () => {
  expect(problemOf(new ControlError("key-taken", "routing key jane-42 belongs to bob"))).toEqual({
    type: "urn:forklane:problem:key-taken",
    title: CONTROL_ERRORS["key-taken"].title,
    status: 409,
    detail: "routing key jane-42 belongs to bob",
    code: "key-taken",
    fix: CONTROL_ERRORS["key-taken"].fix,
  });
  const errors = [{ path: "/a", message: "is missing" }];
  const { errors: told } = problemOf(new ControlError("body-invalid", "x", { errors }));
  expect(told).toEqual(errors);
});
