import fc from "fast-check";
import { expect, test } from "vitest";
import { MadeFields } from "../message/field-list.ts";
import { HOP_MEMBER, withMember } from "./baggage.ts";
import { BaggageReader } from "./baggage-line.ts";
import { DEFAULT_CARRIERS, parseCarriers } from "./carrier.ts";
import { MARK_CHARS, readHopMark } from "./hop-mark.ts";
import { NO_TAG, readTag } from "./tag.ts";

const MARK = "forklane-hop=00112233445566aa.bbccddeeff001122";

/** Members that are a mark, nearly one, or something else. */
const member = fc.constantFrom(
  MARK,
  MARK,
  `${MARK} `,
  `${MARK};p`,
  ` ${MARK}`,
  MARK.toUpperCase(),
  MARK.slice(0, -1),
  `${MARK}0`,
  MARK.replace(".", "-"),
  MARK.replace("aa.", "ag."),
  MARK.replace("=", " ="),
  "forklane-hop",
  "forklane-run=r.B.0.s3",
  "sandbox=jane-42",
  "sandbox=jane-42!",
  " sandbox = joe;p",
  "okteto-divert=joe",
  "a=1",
  " ",
  "",
  `f=${"x".repeat(300)}`,
);
const line = fc.array(member, { maxLength: 4 }).map((members) => members.join(","));

test.each([["baggage:sandbox,header:forklane-key"], ["preset:okteto,baggage:sandbox"]])(
  "with carriers %s a line says what is found without a memory of it, however often",
  (text) => {
    const carriers = parseCarriers(text);
    if (!carriers.ok) throw new Error(carriers.error);
    const reader = new BaggageReader(carriers.value);
    let plain = 0;
    fc.assert(
      fc.property(line, (value) => {
        const fields = new MadeFields(["baggage", value]);
        const { index, markChars, said } = reader.read(fields, 0);
        expect(index).toBe(0);
        expect(said.tag).toEqual(readTag(carriers.value, fields));
        if (said.mayHaveMark) return;
        plain++;
        const mark = markChars === 0 ? null : readHopMark(new MadeFields(["baggage", MARK]));
        expect(readHopMark(fields)).toEqual(mark);
        if (said.isBlank) return;
        expect(`${HOP_MEMBER}=new,${value.slice(markChars)}`).toBe(
          withMember(value, HOP_MEMBER, "new"),
        );
      }),
      { numRuns: 3_000 },
    );
    expect(plain).toBeGreaterThan(0);
  },
);

test("a mark counts where it stands first, as we write it, with something behind it", () => {
  const reader = new BaggageReader(DEFAULT_CARRIERS);
  const read = (value: string) => reader.read(new MadeFields(["baggage", value]), 0);
  expect(read(`${MARK},a=1`)).toMatchObject({ markChars: MARK_CHARS, said: { tag: NO_TAG } });
  expect(read(`${MARK},a=1`).said.tag).toBe(NO_TAG);
  expect(read(`${MARK},a=1`).said).toBe(read("a=1").said);
  expect(read(MARK)).toMatchObject({ markChars: 0, said: { mayHaveMark: true } });
  expect(read(`${MARK},`)).toMatchObject({ markChars: 0 });
  expect(read(`a=1,${MARK}`)).toMatchObject({ markChars: 0, said: { mayHaveMark: true } });
});

test("more lines than are remembered, and longer ones, are read all the same", () => {
  const reader = new BaggageReader(DEFAULT_CARRIERS);
  for (let i = 0; i < 3_000; i++) {
    const fields = new MadeFields(["baggage", `sandbox=k-${i},f=${"x".repeat(i % 400)}`]);
    expect(reader.read(fields, 0).said.tag.text).toBe(`k-${i}`);
  }
});
