/** Makes a peer's text fit for a terminal: one line, and nothing in it that could steer. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}
