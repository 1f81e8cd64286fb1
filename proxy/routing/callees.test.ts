import { describe, expect, test } from "vitest";
import { formatAddress } from "../../core/address.ts";
import { Callees, onlyKeyOf, withPlaces } from "./callees.ts";
import { parseTable, type RoutingTable } from "./table.ts";
import { checkPlaces } from "./table-document.ts";

const ROUTE = { sandbox: "jane", endpoints: ["127.0.0.1:2"] };

function tableOf(workloads: object): RoutingTable {
  const table = parseTable({ revision: 1, workloads, known: [] }, "shop/cart");
  if (!table.ok) throw new Error(table.error);
  return table.value;
}

describe("an address", () => {
  const callees = new Callees(
    tableOf({
      "shop/cart": { addresses: ["10.0.0.5", "fd00:0:0::5"], routes: {} },
      "shop/pricing": { addresses: ["10.0.0.5:81", "[FD00::0:6]:80", "10.0.0.7"], routes: {} },
      "shop/other": { addresses: ["10.0.0.7"], routes: {} },
    }),
  );

  test.each([
    ["10.0.0.5", 80, "shop/cart"],
    ["10.0.0.5", 81, "shop/pricing"],
    ["fd00::5", 80, "shop/cart"],
    ["fd00::6", 80, "shop/pricing"],
    ["fd00::6", 81, undefined],
    ["10.0.0.7", 80, undefined],
    ["10.0.0.6", 80, undefined],
  ])("%s port %i is of %s", (address, port, workload) => {
    const endpoint = formatAddress({ host: address, port });
    expect(callees.byAddress(address, endpoint)?.workload).toBe(workload);
  });

  test("names nobody as a host", () => {
    expect(callees.byHost("10.0.0.5")).toBeNull();
    expect(callees.byHost("")).toBeNull();
  });
});

describe("a host", () => {
  const callees = new Callees(
    tableOf({
      "shop/a": { hosts: ["x:80", "y:80", "z:8080"], addresses: ["10.0.0.1:80"], routes: {} },
      "shop/b": { hosts: ["x:80"], addresses: ["10.0.0.1:80"], routes: {} },
      "shop/c": { hosts: ["x", "y:8080"], addresses: ["10.0.0.1"], routes: {} },
    }),
  );

  test("with a port that two claim is nobody's, whoever has the bare name", () => {
    expect(callees.byHost("x:80")).toBeNull();
    expect(callees.byHost("x:81")?.workload).toBe("shop/c");
    expect(callees.byAddress("10.0.0.1", "10.0.0.1:80")).toBeNull();
    expect(callees.byAddress("10.0.0.1", "10.0.0.1:81")?.workload).toBe("shop/c");
  });

  test.each([
    ["y", undefined, "shop/a"],
    ["Y.", undefined, "shop/a"],
    ["y", 8080, "shop/c"],
    ["z", 8080, "shop/a"],
    ["z", undefined, undefined],
    ["x", 80, undefined],
    ["y", 9000, undefined],
    ["y:80", 8080, "shop/a"],
  ])("%s that was dialled at port %s is of %s", (host, port, workload) => {
    expect(callees.byHost(host, port)?.workload).toBe(workload);
  });
});

describe("places from elsewhere", () => {
  test("are added to those of the table, whose baseline stands", () => {
    const table = tableOf({
      "shop/cart": { hosts: ["cart"], baseline: "10.0.0.1:80", routes: { "jane-42": ROUTE } },
    });
    const places = checkPlaces({
      "shop/cart": { hosts: ["cart", "cart.shop"], baseline: "10.0.0.2:80" },
      "shop/pricing": { hosts: ["pricing"] },
    });
    if (!places.ok) throw new Error(places.error);
    const callees = new Callees(withPlaces(table, places.value));
    expect(callees.byHost("cart.shop:80")).toMatchObject({
      hosts: ["cart", "cart.shop"],
      baseline: "10.0.0.1:80",
      routes: table.workloads.get("shop/cart")?.routes,
    });
    expect(callees.byHost("pricing")).toMatchObject({ revision: "1", baseline: null });
  });

  test.each([
    [{ "shop/cart": { hosts: ["Cart"] } }, '["shop/cart"].hosts[0]'],
    [{ "shop/cart": { routes: {} } }, '["shop/cart"].routes'],
    [{ cart: {} }, "namespace/name"],
    [{ "shop/cart": 1 }, "an object"],
    [[], "an object"],
  ])("%j is wrong, and said where", (document, where) => {
    const places = checkPlaces(document);
    expect(places.ok ? "" : places.error).toContain(where);
  });
});

test("the key of a fork's calls is the only one that leads to its sandbox", () => {
  const cart = { routes: { "jane-42": ROUTE, "mark-7": { ...ROUTE, sandbox: "mark" } } };
  expect(onlyKeyOf(tableOf({ "shop/cart": cart }), "jane")).toBe("jane-42");
  expect(onlyKeyOf(tableOf({ "shop/cart": cart }), "nobody")).toBeNull();
  const pricing = { routes: { "jane-42": ROUTE } };
  expect(onlyKeyOf(tableOf({ "shop/cart": cart, "shop/pricing": pricing }), "jane")).toBe(
    "jane-42",
  );
  const group = { routes: { group: ROUTE } };
  expect(onlyKeyOf(tableOf({ "shop/cart": cart, "shop/pricing": group }), "jane")).toBeNull();
});
