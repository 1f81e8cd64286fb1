import { expect, test } from "vitest";
import {
  renderDryRun,
  renderSandbox,
  renderSandboxes,
  type SandboxView,
} from "./render-sandbox.ts";

const APPLIED = { type: "Applied", status: "True", reason: "AllApplied", message: "" };
const NO_PROXY = {
  type: "Applied",
  status: "False",
  reason: "NoProxy",
  message: "no proxy of shop/cart",
};

test("a sandbox shows its key, its forks and each condition with its reason", () => {
  expect(renderSandbox(sandbox({ labels: { team: "cart" } }), false)).toEqual([
    "sandbox jane  ready  key jane-42  when a fork is down: fail",
    "  fork of shop/cart at 127.0.0.1:9002, 127.0.0.1:9003",
    "  labels team=cart",
    "  Applied True  AllApplied",
  ]);
});

test("a sandbox that is not ready says which proxies are not confirmed, and when it ends", () => {
  const status = {
    ready: false,
    conditions: [NO_PROXY],
    unconfirmed: ["cart-1"],
    expiresAt: "2026-11-24T00:00:00Z",
  };
  expect(renderSandbox(sandbox({ status }), false).slice(2)).toEqual([
    "  ends at 2026-11-24T00:00:00Z",
    "  Applied False  NoProxy: no proxy of shop/cart",
    "  unconfirmed: cart-1",
  ]);
});

test("sandboxes stand in columns", () => {
  expect(renderSandboxes([sandbox({}), sandbox({ name: "jo", labels: { a: "b" } })])).toEqual([
    "NAME  KEY      READY  FORKS      LABELS",
    "jane  jane-42  yes    shop/cart",
    "jo    jane-42  yes    shop/cart  a=b",
  ]);
});

test("no sandboxes is said, with how to make one", () => {
  expect(renderSandboxes([])[0]).toContain("forklane sandbox up");
});

test("a dry run shows each change and whose tables would change", () => {
  const document = {
    action: "replace",
    changes: [
      { path: "/forks/0/endpoints/0", from: "a:1", to: "a:2" },
      { path: "/ttl", to: {} },
    ],
    tables: { workloads: ["shop/cart"] },
  };
  expect(renderDryRun("jane", document)).toEqual([
    "would replace sandbox jane",
    '  /forks/0/endpoints/0: "a:1" -> "a:2"',
    "  /ttl: - -> {}",
    "  routing tables of shop/cart",
  ]);
});

function sandbox(change: Partial<SandboxView>): SandboxView {
  return {
    name: "jane",
    routingKey: "jane-42",
    forks: [{ workload: "shop/cart", endpoints: ["127.0.0.1:9002", "127.0.0.1:9003"] }],
    onUnavailable: "fail",
    labels: {},
    status: { ready: true, conditions: [APPLIED], unconfirmed: [], expiresAt: null },
    ...change,
  };
}
