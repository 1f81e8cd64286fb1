import { type TSchema, type TSchemaOptions, Type } from "typebox";

/**
 * Names to values, where the names are the sender's: each of at most `nameCharsMax` characters.
 *
 * A Record alone bounds no name, and lets a value be anything whose name has a line end.
 */
export function namedValues<T extends TSchema>(
  nameCharsMax: number,
  value: T,
  options: TSchemaOptions = {},
) {
  return Type.Record(Type.String(), value, {
    ...options,
    propertyNames: { maxLength: nameCharsMax },
    additionalProperties: false,
  });
}
