/** Installs the dependencies and builds dist/, when either is missing or older than what it is made from. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`klamp needs Node.js 20.19 or newer, this is ${process.versions.node}.`);
  process.exit(2);
}

const age = (path) => (existsSync(path) ? statSync(path).mtimeMs : Number.NEGATIVE_INFINITY);

const newest = (path) =>
  statSync(path).isDirectory() ? Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name)))) : age(path);

function run(what, command, args) {
  console.error(what);
  const { status } = spawnSync(command, args, {
    stdio: ["ignore", "inherit", "inherit"],
    // As in .npmrc, for whoever has install scripts switched on: no GPU libraries are downloaded.
    env: { ONNXRUNTIME_NODE_INSTALL: "skip", ...process.env },
    shell: process.platform === "win32",
  });
  if (status !== 0) process.exit(status ?? 1);
}

const installed = join("node_modules", ".klamp-installed");
if (age(installed) < Math.max(age("package.json"), age("package-lock.json"))) {
  run("installing dependencies …", "npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(installed, "");
}
const built = join("dist", ".klamp-built");
const sources = [newest("src"), newest("kernels"), age("tsconfig.json"), age("tsconfig.build.json"), age(installed)];
if (age(built) < Math.max(...sources)) {
  run("building the kernels …", process.execPath, [join("scripts", "build-kernels.mjs")]);
  // What no source makes any more must not be shipped.
  rmSync("dist", { recursive: true, force: true });
  run("building …", process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"]);
  writeFileSync(built, "");
}
