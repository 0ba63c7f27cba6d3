/** @file Runs cases one after the other, and tells each before it begins: what ends this process has a name then. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../src/common/errors.ts";
import { KINDS } from "./kinds/index.ts";
import { Choices } from "./random.ts";

/** From a case on, so many of a kind. */
export interface Order {
  readonly kind: string;
  readonly seed: number;
  readonly from: number;
  readonly count: number;
}

/** What is told of cases. `begun`: this one is next, after so many that ended well, or in a sentence; `fault`: it did not. */
export type Told =
  | { readonly begun: number; readonly well: number; readonly refused: number; readonly mostMegabytes: number }
  | { readonly fault: { readonly case: number; readonly error: string } };

const MOST_MEGABYTES = 1000;
/** What JavaScript itself says of a mistake in a program: no sentence for a user, whatever class it comes in. */
const ENGINE_WORDS =
  /Cannot (read|set|convert|destructure|mix)|is not (a function|a constructor)|(?<!' object) is not iterable|[Ii]nvalid (typed )?array length|Maximum call stack|is not defined$/;

async function run({ kind: name, seed, from, count }: Order, tell: (told: Told) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "klamp-fuzz-"));
  let [well, refused, mostMegabytes] = [0, 0, 0];
  try {
    const kind = KINDS.find((each) => each.name === name)!;
    mkdirSync(folder, { recursive: true });
    const work = await kind.open(folder);
    for (let i = from; i < from + count; i++) {
      tell({ begun: i, well, refused, mostMegabytes });
      try {
        await work(new Choices(seed * 1_000_003 + i));
        well++;
      } catch (error) {
        if (error instanceof UserError && !ENGINE_WORDS.test(error.message)) refused++;
        else
          tell({ fault: { case: i, error: error instanceof Error ? (error.stack ?? error.message) : String(error) } });
      }
      const megabytes = Math.round(process.memoryUsage().rss / 2 ** 20);
      if (megabytes > MOST_MEGABYTES && mostMegabytes <= MOST_MEGABYTES) {
        tell({ fault: { case: i, error: `the process has ${megabytes} MB` } });
      }
      mostMegabytes = Math.max(mostMegabytes, megabytes);
    }
    tell({ begun: from + count, well, refused, mostMegabytes });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.on("message", (order: Order) => {
  run(order, (told) => process.send!(told)).then(
    () => process.disconnect(),
    (error) => {
      throw error;
    },
  );
});
