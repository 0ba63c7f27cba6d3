import { parseArgs } from "node:util";
import { fuzz } from "./run.ts";

/** @file `npm run test:fuzz -- --cases 100000 --seed 1 --kind config`: hostile input for everything that klamp reads. */

const { values } = parseArgs({
  options: { cases: { type: "string" }, seed: { type: "string" }, kind: { type: "string" } },
});
const tallies = await fuzz(Number(values.cases ?? 10_000), Number(values.seed ?? 1), values.kind);
for (const { kind, cases, well, refused, seconds, mostMegabytes, faults } of tallies) {
  console.log(
    `${kind.padEnd(16)} ${String(cases).padStart(6)} cases: ${well} well, ${refused} refused, ${faults.length} faults; ${seconds.toFixed(1)} s, ${mostMegabytes} MB`,
  );
}
for (const { kind, case: number, error } of tallies.flatMap(({ faults }) => faults)) {
  console.log(`\n${kind}, case ${number}: ${error}`);
}
process.exitCode = tallies.some(({ faults }) => faults.length > 0) ? 1 : 0;
