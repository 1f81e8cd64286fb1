import type { CarrierFields } from "../../proxy/routing/tag.ts";
import type { HeadersDocument } from "../schema/explain.ts";

/** Headers as a proxy reads them: names in lower case, no white space around values. */
export function headerFields(headers: HeadersDocument): CarrierFields {
  const fields = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value) => ({ name: name.toLowerCase(), value: value.trim() })),
  );
  return {
    find: (name, from) => fields.findIndex((field, index) => index >= from && field.name === name),
    value: (index) => fields[index]?.value ?? "",
  };
}
