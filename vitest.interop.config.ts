import { defineConfig } from "vitest/config";

/** What is held live against Python's tools; `npm run test:interop` makes them first. One file at a time: models are large. */
export default defineConfig({
  test: { include: ["test/interop/*.test.ts"], testTimeout: 600_000, hookTimeout: 600_000, maxWorkers: 1 },
});
