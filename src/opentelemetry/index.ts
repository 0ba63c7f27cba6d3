/** @file `klamp/opentelemetry`: training as spans and metrics. Needs the package `@opentelemetry/api`. */
export { type InstrumentOptions, instrument } from "./instrument.ts";
