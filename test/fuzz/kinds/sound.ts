import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** @file Sound input that cases are made of. */

export const SMALL_WORLD = fileURLToPath(new URL("../../../models/small-world/", import.meta.url));
export const TINY = fileURLToPath(new URL("../../fixtures/llama/model/", import.meta.url));
export const ADAPTER = fileURLToPath(new URL("../../fixtures/llama/adapter-init/", import.meta.url));

export function readJson(folder: string, name: string): unknown {
  return JSON.parse(readFileSync(join(folder, name), "utf8"));
}
