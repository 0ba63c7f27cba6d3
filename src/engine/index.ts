export type * from "./contract.ts";
export { LocalEngine, type LocalEngineOptions } from "./local/local-engine.ts";
