import { storeCases } from "../store.cases.ts";
import { MemoryStore } from "./store.ts";

storeCases(async (limits) => new MemoryStore(limits));
