import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { KLAMP, Workspace } from "../cli/workspace.ts";

/** A module as the documentation says: an SDK of one's own, and the two lines. */
const TELEMETRY = `
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from ${JSON.stringify(import.meta.resolve("@opentelemetry/sdk-trace-base"))};
import { trace } from ${JSON.stringify(import.meta.resolve("@opentelemetry/api"))};
import { instrument } from ${JSON.stringify(fileURLToPath(new URL("../../src/opentelemetry/index.ts", import.meta.url)))};

const exporter = new InMemorySpanExporter();
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
instrument();
process.on("exit", () => console.error("spans: " + exporter.getFinishedSpans().map(({ name }) => name).join(", ")));
`;

test("a module that is imported before the command line hears of its steps", async () => {
  const workspace = new Workspace();
  const module = workspace.write("telemetry.ts", TELEMETRY);
  const config = workspace.config({ regularizers: [{ weight: 0.1, text: "completions" }] });
  const [node, ...tsx] = KLAMP.slice(0, -1) as [string, ...string[]];
  const { stderr } = await promisify(execFile)(node, [
    ...tsx,
    "--import",
    module,
    KLAMP.at(-1)!,
    "train",
    "--config",
    config,
  ]);
  const step = "klamp.regularizer, klamp.step";
  expect(stderr).toContain(`spans: ${step}, ${step}\n`);
});
