/**
 * Compiles the kernels, kernels/*.ts in AssemblyScript, and writes them into a TypeScript module as base64; and bundles the
 * program of the worker threads into another as a string. So neither the library's users nor its build need AssemblyScript,
 * and a worker needs no file.
 *
 *     node scripts/build-kernels.mjs            writes src/divergence/kernel/{bytes,worker}.generated.ts
 *     node scripts/build-kernels.mjs --check    fails if those files are not what the sources compile to
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { build } from "esbuild";

const FOLDER = "src/divergence/kernel";
const LIMIT = 20_000;
const root = fileURLToPath(new URL("..", import.meta.url));

/** One build: WebAssembly that imports its memory, whose first two kilobytes are for constants, parameters and results. */
async function compile(relaxed) {
  let bytes;
  const { error, stderr } = await asc.main(
    [
      "kernels/index.ts",
      ...["--optimizeLevel", "3", "--converge", "--noAssert", "--runtime", "stub"],
      ...[
        "--importMemory",
        "--noExportMemory",
        "--initialMemory",
        "1",
        "--maximumMemory",
        "65536",
        "--memoryBase",
        "2048",
      ],
      ...["--enable", "simd", ...(relaxed ? ["--enable", "relaxed-simd"] : [])],
      ...["--outFile", "kernels.wasm", "--baseDir", root],
    ],
    {
      readFile: (name, base) => {
        try {
          return readFileSync(`${base}/${name}`, "utf8");
        } catch {
          return null;
        }
      },
      writeFile: (_, contents) => {
        bytes = contents;
      },
      listFiles: () => null,
    },
  );
  const messages = stderr.toString();
  if (error || messages) throw new Error(messages || error.message);
  if (bytes.length > LIMIT) throw new Error(`the kernels take ${bytes.length} bytes, expected at most ${LIMIT}`);
  return Buffer.from(bytes);
}

/** Where the flag of the memory import is: 1 for a maximum, 2 for shared memory. */
function memoryFlag(bytes) {
  const KIND_MEMORY = 2;
  const name = bytes.indexOf("\x03env\x06memory");
  const at = name + "\x03env\x06memory".length + 1;
  if (name < 0 || bytes[at - 1] !== KIND_MEMORY || bytes[at] !== 1)
    throw new Error("found no memory import with a maximum");
  return at;
}

/** The program of a worker, which imports nothing. */
async function bundleWorker() {
  const { outputFiles } = await build({
    ...{ entryPoints: [`${root}/${FOLDER}/worker.ts`], bundle: true, minify: true, write: false },
    ...{ format: "iife", target: "es2022", platform: "neutral", charset: "utf8", legalComments: "none" },
  });
  const text = outputFiles[0].text.trim();
  if (text.includes("\n")) throw new Error("the program of a worker is more than one line");
  return text;
}

/** The modules' texts by name, from the sources. */
export async function generate() {
  const [simd, relaxed] = [await compile(false), await compile(true)];
  if (memoryFlag(simd) !== memoryFlag(relaxed)) throw new Error("the builds differ in where their memory import is");
  const program = await bundleWorker();
  return {
    "bytes.generated.ts": `// Written by scripts/build-kernels.mjs from kernels/: change those and run it again.

/** WebAssembly with SIMD128: Node 20, every browser. ${simd.length} bytes. */
export const SIMD =
  "${simd.toString("base64")}";

/** The same with relaxed SIMD, where a multiplication and an addition are one instruction. ${relaxed.length} bytes. */
export const RELAXED_SIMD =
  "${relaxed.toString("base64")}";

/** The byte of both that says whether the memory they import has a maximum (1, as it is here) and is shared as well (3). */
export const MEMORY_FLAG = ${memoryFlag(simd)};
`,
    "worker.generated.ts": `// Written by scripts/build-kernels.mjs from worker.ts: change that and run it again.

/** The program of a worker. ${program.length} characters. */
export const WORKER =
  '${program.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}';
`,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, text] of Object.entries(await generate())) {
    const path = `${root}/${FOLDER}/${name}`;
    if (!process.argv.includes("--check")) writeFileSync(path, text);
    else if (readFileSync(path, "utf8") !== text) {
      console.error(`${FOLDER}/${name} is not what the sources compile to: run node scripts/build-kernels.mjs`);
      process.exit(1);
    }
  }
}
