export type { ServedClient, ServedEngine, TrainingOptions } from "./engine.ts";
export { type LocalServedOptions, localEngine } from "./local-engine.ts";
export { createServer, type RunningServer, type ServerOptions } from "./server.ts";
