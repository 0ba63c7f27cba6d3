/** @file `klamp/tinker`: models on a server that speaks the Tinker API. */

export { openTinkerEngine, type TinkerEngine, type TinkerEngineOptions } from "./engine.ts";
export * from "./errors.ts";
export type { ConnectOptions } from "./http.ts";
export type { RemoteSamplingClient } from "./sampling-client.ts";
export { connect, type RemoteModelOptions, type ServiceClient } from "./service-client.ts";
export type { RemoteTrainingClient } from "./training-client.ts";
