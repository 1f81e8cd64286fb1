import type { Static, TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import { Settings } from "typebox/system";
import { ControlError, type ControlErrorCode } from "../error.ts";
import type { BodyError } from "../model/validate.ts";

/** Errors of one document that are told: more help nobody. */
const ERRORS_MAX = 20;

/** Characters of the place of one error: names in it are the sender's. */
const PATH_CHARS_MAX = 300;

// Errors that typebox looks for: it has one more for each object with properties that are not known.
Settings.Set({ maxErrors: 2 * ERRORS_MAX });

/** What typebox says of one error; only what is read here. */
interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

const compiled = new WeakMap<TSchema, Validator>();

/** Returns the value if it has the shape that a schema asks for; throws ControlError naming each property that has not. */
export function checkShape<T extends TSchema>(
  schema: T,
  value: unknown,
  code: ControlErrorCode = "body-invalid",
): Static<T> {
  const validator = validatorOf(schema);
  if (validator.Check(value)) return value as Static<T>;
  const errors = readableErrors(validator.Errors(value) as readonly SchemaError[]);
  const detail = errors.length === 0 ? "it has a wrong shape" : textOf(errors[0]);
  throw new ControlError(code, detail, { errors });
}

/** Checks path and query parameters, which are texts: numbers and booleans are read from them. */
export function checkParameters<T extends TSchema>(schema: T, value: unknown): Static<T> {
  return checkShape(schema, validatorOf(schema).Convert(value), "query-invalid");
}

/**
 * A value of the right shape without what its schema does not name: a newer proxy may say more, and
 * what control keeps has bounds for what it knows only. What holds nothing else is not copied.
 */
export function keepKnown<T extends TSchema>(schema: T, value: Static<T>): Static<T> {
  const keep = keepers.get(schema) ?? keeperOf(schema as SchemaShape);
  keepers.set(schema, keep);
  return (keep === null ? value : keep(value)) as Static<T>;
}

/** Of a schema: what it names, and what is below. */
interface SchemaShape {
  readonly properties?: Readonly<Record<string, SchemaShape>>;
  readonly patternProperties?: Readonly<Record<string, SchemaShape>>;
  readonly anyOf?: readonly SchemaShape[];
}

/** Null: there is nothing in it that could be unknown. */
type Keeper = ((value: unknown) => unknown) | null;

const keepers = new WeakMap<TSchema, Keeper>();

function keeperOf({ properties, patternProperties, anyOf }: SchemaShape): Keeper {
  if (properties !== undefined) {
    const names = Object.keys(properties);
    return keepEach(new Map(names.map((name) => [name, keeperOf(properties[name] ?? {})])));
  }
  if (anyOf !== undefined) {
    const keep = anyOf.map(keeperOf).find((each) => each !== null);
    return keep === undefined ? null : (value) => (value === null ? null : keep(value));
  }
  const [below] = Object.values(patternProperties ?? {});
  const keep = below === undefined ? null : keeperOf(below);
  if (keep === null) return null;
  return (value) =>
    Object.fromEntries(Object.entries(value as object).map(([name, each]) => [name, keep(each)]));
}

function keepEach(known: ReadonlyMap<string, Keeper>): Keeper {
  const isPlain = [...known.values()].every((keep) => keep === null);
  return (value) => {
    const names = Object.keys(value as object);
    if (isPlain && names.every((name) => known.has(name))) return value;
    const kept: Record<string, unknown> = {};
    for (const name of names) {
      const keep = known.get(name);
      if (keep === undefined) continue;
      const each = (value as Record<string, unknown>)[name];
      kept[name] = keep === null ? each : keep(each);
    }
    return kept;
  };
}

function validatorOf(schema: TSchema): Validator {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const validator = Compile(schema) as unknown as Validator;
  compiled.set(schema, validator);
  return validator;
}

function textOf(error: BodyError | undefined): string {
  return error === undefined
    ? ""
    : `${error.path === "" ? "the document" : error.path} ${error.message}`;
}

/** Unknown properties are named one by one, each where a schema that allows nothing refused it. */
function readableErrors(errors: readonly SchemaError[]): BodyError[] {
  const readable: BodyError[] = [];
  const add = (path: string, message: string) =>
    readable.push({ path: path.slice(0, PATH_CHARS_MAX), message });
  for (const { keyword, instancePath, params, message } of errors) {
    // What follows from another error, which names the property.
    if (keyword === "additionalProperties" || keyword === "propertyNames") continue;
    if (keyword === "boolean") add(instancePath, "is no known property");
    else if (keyword === "required") {
      for (const name of missingIn(params)) add(`${instancePath}/${name}`, "is missing");
    } else add(instancePath, `${message}${allowedText(params)}`);
  }
  return readable.slice(0, ERRORS_MAX);
}

function missingIn(params: object): readonly string[] {
  const { requiredProperties } = params as { readonly requiredProperties?: readonly string[] };
  return requiredProperties ?? [];
}

function allowedText(params: object): string {
  const allowed = (params as { allowedValues?: unknown }).allowedValues;
  return Array.isArray(allowed) ? `: ${allowed.join(", ")}` : "";
}
