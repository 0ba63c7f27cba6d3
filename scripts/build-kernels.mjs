/**
 * Compiles the kernels, kernels/*.ts in AssemblyScript, and writes them into a TypeScript module as base64, so that neither
 * the library's users nor its build need AssemblyScript.
 *
 *     node scripts/build-kernels.mjs            writes src/divergence/kernel/bytes.generated.ts
 *     node scripts/build-kernels.mjs --check    fails if that file is not what the sources compile to
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const TARGET = "src/divergence/kernel/bytes.generated.ts";
const LIMIT = 20_000;
const root = fileURLToPath(new URL("..", import.meta.url));

/** One build: WebAssembly that imports its memory, whose first kilobyte is for constants, parameters and results. */
async function compile(relaxed) {
  let bytes;
  const { error, stderr } = await asc.main(
    [
      "kernels/index.ts",
      ...["--optimizeLevel", "3", "--converge", "--noAssert", "--runtime", "stub"],
      ...["--importMemory", "--noExportMemory", "--initialMemory", "1", "--memoryBase", "1024"],
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

/** The module's text, from the sources. */
export async function generate() {
  const [simd, relaxed] = [await compile(false), await compile(true)];
  return `// Written by scripts/build-kernels.mjs from kernels/: change those and run it again.

/** WebAssembly with SIMD128: Node 20, every browser. ${simd.length} bytes. */
export const SIMD =
  "${simd.toString("base64")}";

/** The same with relaxed SIMD, where a multiplication and an addition are one instruction. ${relaxed.length} bytes. */
export const RELAXED_SIMD =
  "${relaxed.toString("base64")}";
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await generate();
  const path = `${root}/${TARGET}`;
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`${TARGET} is not what kernels/ compiles to: run node scripts/build-kernels.mjs`);
    process.exit(1);
  }
}
