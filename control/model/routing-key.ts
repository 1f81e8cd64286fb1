/** 32 characters of the key grammar that are hard to take for one another; 5 bits each. */
const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";

/** 16 characters of 5 bits: 80 random bits, so that nobody guesses the key of another. */
const GENERATED_CHARS = 16;

/** Makes a routing key with 80 random bits, in the grammar of core/routing-key.ts. */
export function generateRoutingKey(): string {
  let key = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(GENERATED_CHARS))) {
    key += ALPHABET[byte % ALPHABET.length];
  }
  return key;
}
