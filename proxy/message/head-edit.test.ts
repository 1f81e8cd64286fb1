import { describe, expect, test } from "vitest";
import { MadeFields } from "./field-list.ts";
import { HeadEdit, writtenLine } from "./head-edit.ts";

describe("an edit", () => {
  test("that names nothing is empty, and keeps every line", () => {
    const edit = new HeadEdit(4);
    expect([edit.isEmpty, edit.isKept(0), edit.isKept(3), edit.added]).toEqual([
      true,
      true,
      true,
      [],
    ]);
  });

  test("tells dropped, replaced and added lines apart; the last word on a line counts", () => {
    const fields = new MadeFields(["a", "1", "b", "2", "c", "3"]);
    const edit = new HeadEdit(3);
    edit.drop(0);
    edit.replace(1, "two");
    edit.add("d", "4");
    expect([edit.isDropped(0), edit.isDropped(1), edit.isKept(1), edit.isKept(2)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect([edit.value(fields, 1), edit.value(fields, 2)]).toEqual(["two", "3"]);
    edit.drop(1);
    edit.replace(0, "one");
    expect([edit.isDropped(0), edit.isDropped(1), edit.value(fields, 0)]).toEqual([
      false,
      true,
      "one",
    ]);
    expect(edit.added).toEqual(["d", "4"]);
  });

  test("changes a value at one place, until another word on the line", () => {
    const fields = new MadeFields(["a", "12345", "b", "1"]);
    const edit = new HeadEdit(2);
    edit.splice(0, 1, 3, Buffer.from("xy"));
    expect([edit.isKept(0), edit.isDropped(0), edit.value(fields, 0)]).toEqual([
      false,
      false,
      "1xy45",
    ]);
    expect(edit.spliceOf(1)).toBeUndefined();
    edit.replace(0, "new");
    expect([edit.spliceOf(0), edit.value(fields, 0)]).toEqual([undefined, "new"]);
    edit.reset();
    edit.splice(1, 0, 0, Buffer.from("0"));
    expect([edit.value(fields, 0), edit.value(fields, 1)]).toEqual(["12345", "01"]);
    edit.reset();
    edit.splice(1, 1, 1, Buffer.from("<23>"), 1, 3);
    expect(edit.value(fields, 1)).toBe("123");
  });

  test("forgets everything with reset: nothing of one message is in the next", () => {
    const fields = new MadeFields(["a", "1"]);
    const edit = new HeadEdit(1);
    edit.replace(0, "secret");
    edit.add("b", "2");
    edit.reset();
    expect([edit.isEmpty, edit.isKept(0), edit.value(fields, 0), edit.added]).toEqual([
      true,
      true,
      "1",
      [],
    ]);
  });

  test("puts a member in front of a list line that it added, and only there", () => {
    const edit = new HeadEdit(1);
    expect(edit.setAddedMember("baggage", "a", "1")).toBe(false);
    edit.add("x", "baggage");
    edit.add("baggage", "b=2");
    expect(edit.setAddedMember("baggage", "a", "1")).toBe(true);
    expect(edit.added).toEqual(["x", "baggage", "baggage", "a=1,b=2"]);
  });

  test("adds lines that are written already, and forgets them like others", () => {
    const edit = new HeadEdit(1);
    const bytes = Buffer.from("..ab: cd\r\n..");
    for (let message = 0; message < 2; message++) {
      edit.addWritten(writtenLine("x", "1"));
      edit.addLine("ab", bytes, 2, 10);
      expect(edit.added).toEqual(["x", "1", "ab", "cd"]);
      expect(edit.addedLine(1)).toMatchObject({ bytes, start: 2, end: 10 });
      expect(edit.setAddedMember("ab", "e", "f")).toBe(true);
      expect(edit.added).toEqual(["x", "1", "ab", "e=f,cd"]);
      expect(edit.addedLine(1).bytes.length).toBe(0);
      edit.reset();
      expect([edit.addedCount, edit.added]).toEqual([0, []]);
    }
  });
});
