/** The one file of prom-client that we load; its index has the types. */
declare module "prom-client/lib/registry.js" {
  import { Registry } from "prom-client";

  // biome-ignore lint/style/noDefaultExport: a CommonJS module is its default export, and this is theirs
  export { Registry as default };
}
