import { fieldReference } from "../../reference/field.ts";
import { attachReference } from "../../reference/file.ts";
import { group, path } from "../values.ts";
import { checked, refuseSamples, temperature } from "./precomputed.ts";
import { provider } from "./provider.ts";

/** Log-probabilities in a file beside the data. */
export const file = provider({
  type: "file",
  schema: group({ file: path("a file of log-probabilities"), temperature }),
  usage: "{ file: PATH }",
  help: "log-probabilities in a safetensors file (also temperature)",
  describe: ({ file }) => `file ${file}`,
  coversLinesOnly: true,
  refuses: (settings, texts) =>
    texts.length > 1
      ? "a `file` reference matches one text file: give each text its own regularizer"
      : refuseSamples(settings, texts),
  make: ({ file, temperature }, material) => {
    const field = `log-probabilities of ${file}`;
    return checked(fieldReference(field, { description: file, temperature }), material, [], (data) =>
      attachReference(data, file, field, material.vocabSize),
    );
  },
});
