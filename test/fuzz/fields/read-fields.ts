import { carrierSet, type ExchangeContext } from "../../../proxy/exchange/context.ts";
import { exchangeContext, FakeDownstream } from "../../../proxy/exchange/exchange-context.fake.ts";
import { appendForwardedFor } from "../../../proxy/exchange/forwarded-for.ts";
import { markHop } from "../../../proxy/exchange/hop.ts";
import { identify, trustedBaggage } from "../../../proxy/exchange/identify.ts";
import { countForward } from "../../../proxy/exchange/max-forwards.ts";
import { Way } from "../../../proxy/exchange/way.ts";
import { connectionOptions } from "../../../proxy/message/connection-options.ts";
import { MadeFields } from "../../../proxy/message/field-list.ts";
import type { RequestHead } from "../../../proxy/message/head.ts";
import { HeadEdit } from "../../../proxy/message/head-edit.ts";
import {
  HOP_MEMBER,
  lastMember,
  RUN_MEMBER,
  withMember,
  withoutMembers,
} from "../../../proxy/routing/baggage.ts";
import { DEFAULT_CARRIERS } from "../../../proxy/routing/carrier.ts";
import { keyFromHost, keysFromCookie } from "../../../proxy/routing/edge-entry.ts";
import type { HopMark } from "../../../proxy/routing/hop-mark.ts";
import { parseTable, toDocument } from "../../../proxy/routing/table.ts";
import { parseTagValue } from "../../../proxy/routing/tag.ts";
import { readTraceId } from "../../../proxy/routing/trace-id.ts";

/** Everything that the data plane reads out of fields, a line each; `text` is a line for each field. */
export function readFields(text: string): string {
  const fields = new MadeFields(pairsOf(text));
  const { tag, hop, isLoop } = remembered(fields);
  const said = {
    tag,
    hop,
    trace: readTraceId(fields),
    options: connectionOptions(fields),
    lists: valuesOf(fields, "baggage").map((value) => [
      lastMember(value, "sandbox"),
      withMember(value, "forklane-hop", "x.y"),
      withoutMembers(value, ["sandbox", "forklane-hop"]),
    ]),
    hosts: valuesOf(fields, "host").map(keyFromHost),
    cookies: valuesOf(fields, "cookie").map(cookieOf),
    forwardedFor: forwardedFor(fields),
    isLoop,
    maxForwards: maxForwards(fields),
  };
  return linesOf(said);
}

/** What is read, a line each. */
export function linesOf(said: object): string {
  return Object.entries(said)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join("\n");
}

/** Names and values of the lines of a text. */
export function pairsOf(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const colon = line.indexOf(":");
    return colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1)];
  });
}

/** What is read of a table in JSON: whether it is taken, and that it is the same when written again. */
export function readTable(text: string): string {
  const table = parseTable(documentOf(text), "shop/cart");
  if (!table.ok) return table.error.length <= ERROR_CHARS_MAX ? "refused" : "an endless error";
  const again = parseTable(JSON.parse(JSON.stringify(toDocument(table.value))), "shop/cart");
  const isSame = again.ok && linesOf(toDocument(again.value)) === linesOf(toDocument(table.value));
  return isSame ? "taken" : "another table when written";
}

/** What is wrong is shown cut. */
const ERROR_CHARS_MAX = 600;

/** A document that is no JSON is none. */
export function documentOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is said of a request's tag and way, and remembered: the third answer is made of what is held. */
function remembered(fields: MadeFields) {
  // Anew for each input, so that what is found is found again.
  const context: ExchangeContext = {
    ...CONTEXT,
    carriers: carrierSet(DEFAULT_CARRIERS, [HOP_MEMBER, RUN_MEMBER]),
    way: new Way(CONTEXT),
  };
  const ask = () => ({
    tag: tagOf(context, fields),
    hop: markOf(context, fields),
    isLoop: context.way.hasOwn(fields),
  });
  const first = ask();
  ask();
  const third = ask();
  return linesOf(first) === linesOf(third) ? third : { ...third, tag: "another one at last" };
}

const CONTEXT = exchangeContext({ instance: "me" });

function tagOf(context: ExchangeContext, fields: MadeFields): unknown {
  const caller = callerWith(fields);
  const baggage = trustedBaggage(context, caller);
  const { kind, keys, strict, ambiguous } = identify(context, caller, NO_EDIT, baggage);
  if (kind === "none") return null;
  const names = keys.map(({ key, base }) => (base ? `${key}.base` : key));
  return { names: kind === "keys" ? names : null, strict, ambiguous };
}

/** Next to a service, for a caller that is believed, nothing is changed when the tag is read. */
const NO_EDIT = new HeadEdit(0);

function callerWith(fields: MadeFields): FakeDownstream {
  return new FakeDownstream({ fields } as unknown as RequestHead);
}

/** The mark that the exchange's place in the tree was made of. */
function markOf(context: ExchangeContext, fields: MadeFields): HopMark | null {
  const baggage = trustedBaggage(context, callerWith(fields));
  const tag = parseTagValue("jane-42");
  const hop = markHop(context, "shop/cart", tag, fields, new HeadEdit(fields.count), baggage);
  if (hop.isEntry) return null;
  const isShared = context.way.before(fields) !== null;
  return { root: hop.root, hop: isShared ? hop.hop : (hop.parent ?? "") };
}

function valuesOf(fields: MadeFields, name: string): string[] {
  const values: string[] = [];
  for (let i = fields.find(name, 0); i >= 0; i = fields.find(name, i + 1)) {
    values.push(fields.value(i));
  }
  return values;
}

/** What a cookie gives is safe in a field, and says what the cookie said. */
function cookieOf(value: string): unknown {
  const [tag] = keysFromCookie(value);
  if (tag === undefined) return null;
  const { kind, strict } = parseTagValue(tag);
  return { isSafe: /^[!-+\--:<-~]+$/.test(tag), kind, strict };
}

function forwardedFor(fields: MadeFields): unknown {
  const edit = new HeadEdit(fields.count);
  appendForwardedFor(fields, edit, "::ffff:10.0.0.7");
  return editedValues(fields, edit, "x-forwarded-for");
}

function maxForwards(fields: MadeFields): unknown {
  const edit = new HeadEdit(fields.count);
  const head = { method: "OPTIONS", fields } as unknown as RequestHead;
  return countForward(head, edit) ?? editedValues(fields, edit, "max-forwards");
}

function editedValues(fields: MadeFields, edit: HeadEdit, name: string): string[] {
  const values: string[] = [];
  for (let i = fields.find(name, 0); i >= 0; i = fields.find(name, i + 1)) {
    values.push(edit.value(fields, i));
  }
  return [...values, ...edit.added.filter((_, i) => i % 2 === 1)];
}
