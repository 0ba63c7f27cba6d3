import { z } from "zod";
import { type On, sourcesOf } from "./config-on.ts";
import { group, path, positive, text, whole } from "./config-values.ts";

/** @file What a regularizer holds the model to. */

const temperature = positive.default(1).describe("the temperature that the log-probabilities are of");

export const reference = z
  .union(
    [
      z.enum(["base", "start"]),
      group({ field: text("the name of a key in each line of the data"), temperature }),
      group({ file: path("a file of log-probabilities"), temperature }),
      group({ moving: group({ every: whole(1).describe("steps between copies of the model") }) }),
    ],
    {
      error: "base, start, { field: NAME }, { file: PATH } or { moving: { every: STEPS } }",
    },
  )
  .default("base")
  .describe(
    "base; start, the adapter that training starts from; { field: NAME } of the data's lines, { file: PATH } of log-probabilities (both also temperature); or { moving: { every: STEPS } }, the model as it was up to so many steps ago",
  );

export type ReferenceConfig = z.output<typeof reference>;

/** Refuses samples, which are drawn when training begins, where the reference was computed before. */
export function samplesAreNew(
  { on, reference }: { readonly on: On; readonly reference: ReferenceConfig },
  context: z.RefinementCtx,
) {
  if (typeof reference === "object" && "file" in reference && sourcesOf(on).length > 1) {
    const message = "another, or a regularizer for each text: the numbers of a file belong to the lines of one";
    context.addIssue({ code: "custom", path: ["reference"], message });
    return;
  }
  const isOld = typeof reference === "object" && ("field" in reference || "file" in reference);
  const drawn = sourcesOf(on).some((source) => typeof source === "object" && "samples" in source);
  if (!isOld || !drawn) return;
  context.addIssue({
    code: "custom",
    path: ["reference"],
    message: "base or another that can be asked about samples, which nobody knew before",
  });
}
