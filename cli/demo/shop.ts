/** A service of the demo shop. */
export type ShopService = "frontend" | "cart" | "pricing" | "inventory" | "loyalty";

/** What a service answers, as JSON: who it is, what it says, and its callees' answers inside. */
export interface ShopAnswer {
  /** Workload of the one who answered. */
  readonly servedBy: string;
  /** `baseline`, or the name of the change. */
  readonly version: string;
  readonly [member: string]: unknown;
}

/** One row of the shop. */
export interface ShopRow {
  readonly path: string;
  /** Services that it asks, all at once. */
  readonly callees: readonly ShopService[];
  /** What it adds to its answer, from those of its callees. */
  readonly says: (
    version: string,
    answers: Readonly<Partial<Record<ShopService, ShopAnswer>>>,
  ) => Record<string, unknown>;
}

/** Version of every service that nobody changed. */
export const BASELINE_VERSION = "baseline";

const LANTERNS = 2;

/** THE SHOP: who calls whom, and what each one says. */
export const SHOP: Readonly<Record<ShopService, ShopRow>> = {
  frontend: {
    path: "/checkout",
    callees: ["cart", "loyalty"],
    says: (_version, { cart }) => ({ toPayCents: cart?.["totalCents"] ?? null }),
  },
  cart: {
    path: "/cart",
    callees: ["pricing", "inventory"],
    says: (_version, { pricing }) => ({
      lanterns: LANTERNS,
      totalCents: LANTERNS * Number(pricing?.["lanternCents"]),
    }),
  },
  pricing: {
    path: "/price",
    callees: [],
    says: (version) => ({ lanternCents: version === BASELINE_VERSION ? 1900 : 1500 }),
  },
  inventory: { path: "/stock", callees: [], says: () => ({ lanternsInStock: 12 }) },
  loyalty: { path: "/points", callees: [], says: () => ({ points: 240 }) },
};

/** The names of all services, callers before callees. */
export const SHOP_SERVICES = Object.keys(SHOP) as readonly ShopService[];

/** Tells whether `name` is a service of the shop. */
export function isShopService(name: string): name is ShopService {
  return Object.hasOwn(SHOP, name);
}

/** The workload of a service: `shop/cart`. */
export function workloadOf(service: ShopService): string {
  return `shop/${service}`;
}
