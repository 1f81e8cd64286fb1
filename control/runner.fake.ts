/** Control as a process of its own: `node runner.fake.ts '{"data":"x.db"}'`. */
import { runControl } from "./main.ts";

process.exitCode = await runControl(JSON.parse(process.argv[2] ?? "{}"));
