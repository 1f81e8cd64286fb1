/** What Forklane writes about exchanges; the other proxies write nothing in any case. */
export const TELEMETRIES = ["default", "off", "records", "otlp"] as const;

/**
 * `default`: metrics, and the access log of tagged requests (to nowhere). `off`: no access log.
 * `records`: as default, with a control process that gets a hop record of each tagged request.
 * `otlp`: as default, with a receiver that gets a span of each request.
 */
export type Telemetry = (typeof TELEMETRIES)[number];

/** How proxies are set up; those of one setup are started once and serve all of its cases. */
export interface Setup {
  readonly sandboxes: number;
  /** Whether a tag may name two keys (`a~b`), and the second one counts too. */
  readonly composed: boolean;
  readonly telemetry: Telemetry;
}

/** What each request of a case is. */
export interface RequestShape {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly bodyBytes: number;
  /** Fields besides Host, as `name: value`. */
  readonly fields: readonly string[];
  /** A baggage that is not the same for all requests; null: `fields` say it all. */
  readonly baggage: NumberedBaggage | null;
}

/** A baggage that ends with a number. */
export interface NumberedBaggage {
  readonly prefix: string;
  /** That many numbers in turn, of six digits each; null: every request has one of its own. */
  readonly count: number | null;
}

/** Fields of the first request of a connection, one of many. */
export function fieldsOf({ fields, baggage }: RequestShape, connection: number): readonly string[] {
  if (baggage === null || baggage.count === null) return fields;
  const number = String(connection % baggage.count).padStart(6, "0");
  return [...fields, `baggage: ${baggage.prefix}${number}`];
}

/** Something that is measured with every proxy. */
export interface Case {
  /** What the command line calls it. */
  readonly name: string;
  /** `cpu`: time per request under a closed loop; `latency`: at a fixed rate; `memory`: at rest. */
  readonly kind: "cpu" | "latency" | "memory";
  readonly about: string;
  readonly setup: Setup;
  readonly request: RequestShape;
  /** Connections of a closed loop. */
  readonly connections: number;
  /** Connections held open besides those of the load. */
  readonly openConnections: number;
  /** Only Forklane has what is measured. */
  readonly isOursOnly: boolean;
}

/** Two cases share the proxies of one setup. */
export function setupName(setup: Setup): string {
  const composed = setup.composed ? "-composed" : "";
  return `${setup.sandboxes}${composed}-${setup.telemetry}`;
}
