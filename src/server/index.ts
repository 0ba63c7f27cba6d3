/** @file `klamp/server`: the Tinker API over any engine. */

export { createServer, type RunningServer, type ServerOptions } from "./server.ts";
