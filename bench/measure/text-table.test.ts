import { expect, test } from "vitest";
import { columnsOf, formatFigure, renderTable } from "./text-table.ts";

test("text stands left, figures right, and columns are as wide as their widest cell", () => {
  const columns = columnsOf(["proxy"], ["us", "requests/s"]);
  const rows = [
    ["nginx", "21.0", "48000"],
    ["forklane x4", "9.50", "6000"],
  ];
  expect(renderTable(columns, rows)).toBe(
    [
      "proxy          us  requests/s",
      "-----------  ----  ----------",
      "nginx        21.0       48000",
      "forklane x4  9.50        6000",
    ].join("\n"),
  );
});

test("no line ends in spaces, also where a cell is missing", () => {
  const text = renderTable(columnsOf(["a", "b"], []), [["long cell"]]);
  expect(text.split("\n").every((line) => line === line.trimEnd())).toBe(true);
});

test("a figure has three digits that say something", () => {
  expect([0.123, 9.876, 12.34, 123.4, Number.NaN].map(formatFigure)).toEqual([
    "0.12",
    "9.88",
    "12.3",
    "123",
    "-",
  ]);
});
