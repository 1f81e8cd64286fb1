import { Option } from "commander";
import { allPages, PAGE_ITEMS } from "./all-pages.ts";
import { askControl } from "./ask-control.ts";
import type { TagForm } from "./tag.ts";

/** What `--tag-as` says. */
export type TagAs = TagForm | "auto";

/** Declares `--tag-as`. */
export function tagAsOption(): Option {
  return new Option(
    "--tag-as <form>",
    "baggage, or the header forklane-key for an edge; auto asks control which it is",
  )
    .choices(["auto", "baggage", "header"])
    .default("auto");
}

/** An edge takes no tag from outside but by its header; anything else reads baggage first. */
export async function formFor(tagAs: TagAs, url: URL, control: string): Promise<TagForm> {
  if (tagAs !== "auto") return tagAs;
  const listen = `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
  const proxies = await askControl(control, (client) =>
    allPages((page) => client.listProxies({ ...page, limit: PAGE_ITEMS })),
  );
  const isEdge = proxies.some((proxy) => proxy.mode === "edge" && proxy.listen === listen);
  return isEdge ? "header" : "baggage";
}
