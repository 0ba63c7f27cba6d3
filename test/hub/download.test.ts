import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { downloadBlob } from "../../src/hub/download.ts";
import { locateModel } from "../../src/hub/locate.ts";
import { complaint, temporaryFolder } from "../data/folders.ts";
import { COMMIT, hubWith, MODEL_FILES, modelRepo, NAME, partials } from "./fixture.ts";
import { type HubServer, sha256 } from "./hub-server.ts";

/** @file What becomes of a download that breaks, brings something else, or is made twice at once. */

const WEIGHTS = "model.safetensors";
const RIGHT = MODEL_FILES[WEIGHTS]!;
const OID = sha256(RIGHT);
/** Finds a model in a process of its own. */
const SCRIPT = fileURLToPath(new URL("locate-once.ts", import.meta.url));
const HOST = hostname().replaceAll(/[^\w-]/g, "_");

/** What was asked of the weights' content, by range. */
function ranges(server: HubServer): (string | undefined)[] {
  return server.asked
    .filter(({ host, path }) => host === "elsewhere" && path.endsWith(WEIGHTS))
    .map(({ range }) => range);
}

const blobs = (cache: string) => join(cache, "models--tiny-org--tiny.Llama_1", "blobs");

async function expectWhole(cache: string): Promise<void> {
  const { folder } = await locateModel(NAME);
  for (const [file, content] of Object.entries(MODEL_FILES))
    expect(readFileSync(join(folder, file)).equals(content), file).toBe(true);
  expect(partials(cache)).toEqual([]);
}

/** An id that no process has any more. */
async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  return child.pid!;
}

describe("a connection that breaks", () => {
  it("is taken up where it broke", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    server.faults[WEIGHTS] = { times: 1, breakAfter: 200_000 };
    await expectWhole(cache);
    expect(ranges(server)).toEqual([undefined, "bytes=200000-"]);
  });

  it("again and again is taken up for as long as something comes", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    let sent = 0;
    Object.defineProperty(server.faults, WEIGHTS, {
      get: () => (sent < 8 ? { times: 1, breakAfter: 50_000 * ++sent } : undefined),
    });
    await expectWhole(cache);
    expect(ranges(server)).toHaveLength(9);
    expect(ranges(server).at(-1)).toBe("bytes=400000-");
  }, 20_000);

  it("begins anew where the server sends the whole file only", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    const faults = [
      { times: 1, breakAfter: 200_000 },
      { times: 1, wholeOnly: true },
    ];
    Object.defineProperty(server.faults, WEIGHTS, { get: () => faults.shift() });
    await expectWhole(cache);
    expect(ranges(server)).toHaveLength(2);
  });

  it("in a process that ended is taken up by the next, from the byte where it broke", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    server.faults[WEIGHTS] = { times: 100, status: 403 };
    expect(await complaint(() => locateModel(NAME))).toContain("is gated");
    delete server.faults[WEIGHTS];
    // As a process leaves it that was killed.
    for (const name of partials(cache)) rmSync(join(blobs(cache), name));
    const left = (pid: number) => join(blobs(cache), `${OID}.klamp-${HOST}-${pid}-01234567.incomplete`);
    writeFileSync(left(await endedProcess()), RIGHT.subarray(0, 300_000));
    await expectWhole(cache);
    expect(ranges(server).at(-1)).toBe("bytes=300000-");
  });

  it("by a process that is killed is taken up by the next", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    server.faults[WEIGHTS] = { times: 1, hangAfter: 250_000 };
    const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), SCRIPT, NAME], { stdio: "ignore" });
    const size = () => {
      if (!existsSync(blobs(cache))) return 0;
      return Math.max(0, ...partials(cache).map((name) => statSync(join(blobs(cache), name)).size));
    };
    await vi.waitUntil(() => size() === 250_000, { timeout: 10_000 });
    child.kill("SIGKILL");
    await once(child, "exit");
    await expectWhole(cache);
    expect(ranges(server)).toEqual([undefined, "bytes=250000-"]);
  }, 20_000);

  it("leaves what another process is writing alone", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    await locateModel(NAME);
    rmSync(blobs(cache), { recursive: true });
    server.faults["config.json"] = { times: 1, status: 403 };
    await complaint(() => locateModel(NAME));
    const theirs = join(blobs(cache), `${OID}.klamp-${HOST}-${process.ppid}-01234567.incomplete`);
    writeFileSync(theirs, RIGHT.subarray(0, 1000));
    const { folder } = await locateModel(NAME);
    expect(readFileSync(join(folder, WEIGHTS)).equals(RIGHT)).toBe(true);
    expect(readFileSync(theirs)).toHaveLength(1000);
    expect(ranges(server)).toEqual([undefined, undefined]);
  });
});

describe("content with another checksum", () => {
  const wrong = Buffer.from(RIGHT).fill(7, 100_000, 100_001);

  it("is asked for once more, and never put in its place", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    server.faults[WEIGHTS] = { times: 1, content: wrong };
    await expectWhole(cache);
    expect(ranges(server)).toHaveLength(2);
  });

  it.each([
    [WEIGHTS, wrong, sha256(wrong)],
    ["generation_config.json", Buffer.from(MODEL_FILES["generation_config.json"]!).fill("x", 0, 1), "the checksum"],
  ])("twice is refused, with both checksums: %s", async (file, content, found) => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    server.faults[file] = { times: 2, content };
    const message = await complaint(() => locateModel(NAME));
    expect(message).toMatch(new RegExp(`^${NAME}: ${file} came with the checksum .*, the hub says [0-9a-f]{40,64}:`));
    expect(message).toContain(found);
    expect(partials(cache)).toEqual([]);
    await expectWhole(cache);
  });

  it("in what an earlier process left begins anew", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    await locateModel(NAME);
    const damaged = join(blobs(cache), `${OID}.klamp-${HOST}-${await endedProcess()}-01234567.incomplete`);
    renameSync(join(blobs(cache), OID), damaged);
    writeFileSync(damaged, wrong.subarray(0, 200_000));
    await expectWhole(cache);
    expect(ranges(server)).toEqual([undefined, "bytes=200000-", undefined]);
  });

  it("or more of it than there is begins anew", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    await locateModel(NAME);
    const left = join(blobs(cache), `${OID}.klamp-${HOST}-${await endedProcess()}-01234567.incomplete`);
    renameSync(join(blobs(cache), OID), left);
    writeFileSync(left, Buffer.concat([RIGHT, RIGHT]));
    await expectWhole(cache);
    expect(ranges(server)).toEqual([undefined, undefined]);
  });
});

it("a server from which nothing comes any more is given up, and asked for the rest", async () => {
  const { server } = await hubWith({ [NAME]: modelRepo() });
  server.faults[WEIGHTS] = { times: 1, hangAfter: 70_000 };
  const folder = temporaryFolder();
  const asked: number[] = [];
  const content = (from: number, signal: AbortSignal) => {
    asked.push(from);
    const headers = from > 0 ? { range: `bytes=${from}-` } : undefined;
    return fetch(`${server.url}/${NAME}/resolve/main/${WEIGHTS}`, { signal, ...(headers && { headers }) });
  };
  const file = { path: WEIGHTS, size: RIGHT.length, oid: OID };
  await downloadBlob(file, folder, { content, onBytes: () => {}, stall: 300 });
  expect(asked).toEqual([0, 70_000]);
  expect(readFileSync(join(folder, OID)).equals(RIGHT)).toBe(true);
});

it("a server that fails for a moment is asked again", async () => {
  const { server, cache } = await hubWith({ [NAME]: modelRepo() });
  server.faults["config.json"] = { times: 2, status: 503 };
  await expectWhole(cache);
});

it("a file that is larger than the disk is refused before anything comes", async () => {
  const { server } = await hubWith({ [NAME]: modelRepo({ sizes: { [WEIGHTS]: 4e15 } }) });
  expect(await complaint(() => locateModel(NAME))).toMatch(
    /takes 4,000,000,000 MB more, the disk of the cache .* has [\d,.]+ MB free: free space, or set HF_HUB_CACHE/,
  );
  expect(server.contents).toEqual([]);
});

it("several that download the same at once, in one process and in others, all get it whole", async () => {
  const { cache } = await hubWith({ [NAME]: modelRepo() });
  const others = [1, 2].map(async () => {
    const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), SCRIPT, NAME], { stdio: "pipe" });
    const out: string[] = [];
    child.stdout.on("data", (text) => out.push(String(text)));
    child.stderr.on("data", (text) => out.push(String(text)));
    await once(child, "close");
    return out.join("");
  });
  const here = [1, 2].map(async () => (await locateModel(NAME)).folder);
  const folder = join(cache, "models--tiny-org--tiny.Llama_1", "snapshots", COMMIT);
  expect(await Promise.all([...others, ...here])).toEqual([folder, folder, folder, folder]);
  await expectWhole(cache);
}, 30_000);

it("an abort ends a download, and what came of it is kept", async () => {
  const { server, cache } = await hubWith({ [NAME]: modelRepo() });
  server.faults[WEIGHTS] = { times: 100, breakAfter: 100_000 };
  const controller = new AbortController();
  const onDownload = ({ bytes }: { bytes: number }) => bytes > 100_000 && controller.abort();
  const ended = await locateModel(NAME, { signal: controller.signal, onDownload }).catch((reason: unknown) => reason);
  expect(controller.signal.aborted).toBe(true);
  expect(ended).toBe(controller.signal.reason);
  delete server.faults[WEIGHTS];
  await expectWhole(cache);
  expect(ranges(server).at(-1)).toBe("bytes=100000-");
});
