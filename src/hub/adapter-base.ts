import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../common/errors.ts";
import { parseHubName } from "../common/hub-name.ts";
import { readJsonFile } from "../common/text-file.ts";
import { isCommit, RepoCache } from "./cache.ts";
import { HubClient } from "./client.ts";
import type { HubSnapshot, Located } from "./locate.ts";
import { type HubSettings, hubSettings } from "./settings.ts";

const CONFIG_FILE = "adapter_config.json";

/**
 * Refuses an adapter whose `adapter_config.json` says that it was made for another model of the hub, or for another state of
 * it. Folders are not compared: the same model lies in many places.
 *
 * @throws UserError with both names.
 */
export async function checkAdapterBase(adapter: Located, model: Located): Promise<void> {
  const { hub } = model;
  const { base, revision } = readBase(adapter.folder);
  const made = base === undefined || existsSync(base) ? null : parseHubName(base);
  if (!hub || !made) return;
  const which = adapter.hub?.name ?? adapter.folder;
  if (made.name.toLowerCase() !== hub.name.toLowerCase()) {
    throw new UserError(
      `the adapter ${which} was made for ${made.name}, and the model is ${hub.name}: use that model, or correct base_model_name_or_path in its ${CONFIG_FILE}`,
    );
  }
  if (revision === undefined || (await isSame(revision, hub, hubSettings()))) return;
  throw new UserError(
    `the adapter ${which} was made for ${made.name}@${revision}, and the model is ${hub.name}@${hub.revision}: set model to ${made.name}@${revision}, or correct revision in its ${CONFIG_FILE}`,
  );
}

/** Whether a revision of a model is this state of it, which the cache knows or the hub is asked. */
async function isSame(revision: string, { name, revision: commit }: HubSnapshot, settings: HubSettings) {
  if (/^[0-9a-f]{7,40}$/.test(revision) && commit.startsWith(revision)) return true;
  const known = new RepoCache(settings.cache, name).commitOf(revision);
  if (known !== undefined || settings.offline || isCommit(revision)) return known === commit;
  const asked = await new HubClient(settings).commit({ name, revision }).catch(() => undefined);
  return asked === commit;
}

/** What an adapter says of its base; nothing where it cannot be read, which opening it reports. */
function readBase(folder: string): { readonly base?: string | undefined; readonly revision?: string | undefined } {
  try {
    const config: Record<string, unknown> = { ...(readJsonFile(join(folder, CONFIG_FILE)) as object) };
    const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
    return { base: text(config.base_model_name_or_path), revision: text(config.revision) };
  } catch {
    return {};
  }
}
