import { expect, test } from "vitest";
import { call, JANE, startControl } from "../control.fake.ts";

test("OpenAPI 3.1 describes every path of the API, with problem documents as failures", async () => {
  const control = await startControl();
  const { body } = await call(control, "GET", "/openapi.json");
  expect(body.openapi).toBe("3.1.0");
  expect(Object.keys(body.paths).sort()).toEqual([
    "/healthz",
    "/readyz",
    "/v1/events",
    "/v1/explain",
    "/v1/hops",
    "/v1/probes",
    "/v1/proxies",
    "/v1/proxies/{instance}/status",
    "/v1/route-groups",
    "/v1/route-groups/{name}",
    "/v1/routes/{namespace}/{name}",
    "/v1/runs",
    "/v1/runs/{id}",
    "/v1/runs/{id}/verdict",
    "/v1/sandboxes",
    "/v1/sandboxes/{name}",
    "/v1/sandboxes/{name}/exchanges",
    "/v1/traces/{id}",
    "/v1/watch",
    "/v1/workloads",
  ]);
  const put = body.paths["/v1/sandboxes/{name}"].put;
  expect(Object.keys(put.responses).sort()).toEqual(["200", "201", "4XX", "5XX"]);
  expect(JSON.stringify(put.responses["4XX"])).toContain("application/problem+json");
  expect(JSON.stringify(body)).not.toContain("def-");
  expect((await call(control, "GET", "/docs")).body).toContain("swagger-ui");
});

test("health, readiness and metrics answer", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  await call(control, "GET", "/v1/nowhere");
  expect((await call(control, "GET", "/healthz")).body).toEqual({ status: "ok" });
  expect((await call(control, "GET", "/readyz")).body.status).toBe("ready");
  const { body } = await call(control, "GET", "/metrics");
  expect(body).toContain("forklane_control_keys 1\n");
  expect(body).toContain('forklane_control_errors_total{code="not-found"} 1');
  expect(body).toContain('route="/v1/sandboxes/:name"');
});
