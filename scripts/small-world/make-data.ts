/** `npx tsx scripts/small-world/make-data.ts`: writes data/small-world and models/small-world (weights aside) anew. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { dataFiles } from "./data-files.ts";
import { modelFiles } from "./model-files.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

for (const [folder, files] of [
  ["data/small-world", dataFiles()],
  ["models/small-world", modelFiles()],
] as const) {
  for (const [name, content] of files) {
    const path = join(root, folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
    console.log(`${folder}/${name}`);
  }
}
