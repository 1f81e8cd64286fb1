import { expect, test } from "vitest";
import { getWith } from "../../test/harness/parsed-head.ts";
import { exchangeContext } from "./exchange-context.fake.ts";

// What comes before, and what is appended, is tested where both meet: hop.test.ts.

test.each([
  [["forklane-via: shop/cart;cart-1"], false],
  [["forklane-via: shop/pricing;cart-1;from=-"], true],
  [["forklane-via: shop/pricing;cart-11;from=-"], false],
])("%j is the mark of the proxy's outbound side: %j", (fields, isOwn) => {
  expect(exchangeContext({ mode: "outbound" }).way.hasOwn(getWith(...fields))).toBe(isOwn);
});

test.each([
  [["forklane-via: shop/cart;cart-1"], true],
  [["forklane-via: shop/pricing;cart-1;from=-"], false],
  [["forklane-via: shop/front;f-1 ,shop/cart; cart-1"], true],
  [["Forklane-Via: shop/front;f-1", "forklane-via: shop/cart;cart-1"], true],
  [["forklane-via: shop/cart;cart-11"], false],
  [["forklane-via: shop/cart;cart"], false],
  [["x-via: shop/cart;cart-1"], false],
])("%j is the proxy's own mark: %j", (fields, isOwn) => {
  expect(exchangeContext().way.hasOwn(getWith(...fields))).toBe(isOwn);
});
