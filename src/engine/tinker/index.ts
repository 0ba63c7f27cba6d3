export * from "./errors.ts";
export type { ConnectOptions } from "./http.ts";
export type { RemoteSamplingClient } from "./sampling-client.ts";
export { connect, type RemoteModelOptions, type ServiceClient } from "./service-client.ts";
export type { RemoteTrainingClient } from "./training-client.ts";
