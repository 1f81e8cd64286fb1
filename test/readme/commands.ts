/** A fenced block that the README marks as one whose commands are run: ```` ```sh tested ````. */
const MARKED_BLOCK = /^```sh tested\n(.*?)^```$/gms;

/**
 * Takes the commands out of the marked blocks of a Markdown text, in order.
 *
 * A line is a command; one that ends in a backslash goes on in the next; comments and empty lines
 * are none.
 */
export function testedCommands(markdown: string): string[] {
  const blocks = [...markdown.matchAll(MARKED_BLOCK)].map((block) => block[1] ?? "");
  return blocks
    .flatMap((block) => block.replace(/\\\n */g, "").split("\n"))
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
