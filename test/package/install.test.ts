import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Ended, execute, MANIFEST, pack, ROOT } from "./npm.ts";

/** @file klamp as others install it, from the tarball: with ONNX Runtime, and with `--omit=optional` without it. */

const folder = realpathSync(mkdtempSync(join(tmpdir(), "klamp-install-")));
afterAll(() => rmSync(folder, { recursive: true }));

const RUNTIME = "onnxruntime-node";

/** An empty project into which npm installs the tarball. */
class Project {
  readonly folder: string;
  readonly installed: Ended;

  constructor(name: string, tarball: string, ...flags: readonly string[]) {
    this.folder = join(folder, name);
    mkdirSync(this.folder);
    this.write("package.json", JSON.stringify({ private: true, type: "module" }));
    const patience = ["--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=20000"];
    const quiet = ["--no-audit", "--no-fund", "--no-update-notifier"];
    this.installed = execute(
      this.folder,
      "npm",
      "install",
      tarball,
      "--ignore-scripts",
      ...flags,
      ...patience,
      ...quiet,
    );
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  has(name: string): boolean {
    return existsSync(join(this.folder, "node_modules", name));
  }

  klamp(...args: readonly string[]): Ended {
    return execute(this.folder, "npx", "--no-install", "klamp", ...args);
  }

  /** What a module in the project prints. */
  run(module: string): unknown {
    this.write("program.js", module);
    const { out, err } = execute(this.folder, process.execPath, "program.js");
    expect(err).toBe("");
    return JSON.parse(out);
  }

  /** The errors that TypeScript finds in a module of the project, types of its dependencies included. */
  typeErrors(module: string, types: readonly string[], lib: readonly string[]): string {
    this.write("program.ts", module);
    const compilerOptions = {
      strict: true,
      skipLibCheck: false,
      skipDefaultLibCheck: true,
      noEmit: true,
      module: "NodeNext",
      target: "ES2023",
    };
    const config = { compilerOptions: { ...compilerOptions, types, lib }, files: ["program.ts"] };
    this.write("tsconfig.json", JSON.stringify(config));
    return execute(this.folder, process.execPath, join(ROOT, "node_modules", "typescript", "bin", "tsc")).out;
  }
}

let whole: Project;
let lean: Project;
let unreachable = false;

beforeAll(() => {
  const { tarball } = pack(folder);
  lean = new Project("lean", tarball, "--omit=optional");
  unreachable = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET/.test(lean.installed.err);
  if (!unreachable) whole = new Project("whole", tarball);
}, 300_000);

beforeEach((context) => {
  context.skip(unreachable, "no npm registry can be reached");
});

/** Two steps on the shipped model, as the data beside it says. */
function train(project: Project): Ended {
  const here = "node_modules/klamp";
  const config = {
    model: `${here}/models/small-world`,
    data: { train: `${here}/data/small-world/task/train.jsonl` },
    train: { steps: 2, batch_size: 2 },
    regularizers: [{ type: "kl_divergence" }],
    output: "run",
  };
  project.write("config.yaml", JSON.stringify(config));
  return project.klamp("train", "--config", "config.yaml");
}

const MATHEMATICS = `
  import { everyToken } from "klamp";
  import { klDivergence, tensor } from "klamp/divergence";
  import { givenReference } from "klamp/reference";
  import { buildStore } from "klamp/reference/store";
  import { compute, KLDivergence } from "klamp/regularizer";
  import { openTinkerEngine } from "klamp/tinker";

  const p = tensor([0.4, 0.3, 0.2, 0.1].map(Math.log), [1, 4]);
  const q = tensor([0.25, 0.25, 0.25, 0.25].map(Math.log), [1, 4]);
  const regularizer = new KLDivergence({ reference: givenReference([q]), direction: "reverse" });
  const { loss } = await compute(regularizer, [everyToken([0, 1])], [p]);
  console.log(JSON.stringify({ kl: klDivergence(p, q), loss, kinds: [typeof buildStore, typeof openTinkerEngine] }));`;

describe.each(["whole", "lean"] as const)("installed: %s", (which) => {
  const project = () => ({ whole, lean })[which];

  test("npm installs it without a warning, with ONNX Runtime or without", () => {
    expect(project().installed).toMatchObject({ code: 0, err: "" });
    expect(project().has(RUNTIME)).toBe(which === "whole");
  });

  test("the command says its version, and its help", () => {
    expect(project().klamp("--version")).toEqual({ code: 0, out: `${MANIFEST.version}\n`, err: "" });
    expect(project().klamp("train", "--help")).toMatchObject({ code: 0, err: "" });
  });

  test("divergences, regularizers, references and the Tinker client work", () => {
    const { kl, loss, kinds } = project().run(MATHEMATICS) as { kl: number; loss: number; kinds: string[] };
    expect(kl).toBeCloseTo(0.1064401353, 7);
    expect(loss).toBeCloseTo(0.1217772743, 7);
    expect(kinds).toEqual(["function", "function"]);
  });
});

test("with ONNX Runtime the shipped model trains", () => {
  const { code, err } = train(whole);
  expect(err).toContain("step 2/2");
  expect(code).toBe(0);
  expect(existsSync(join(whole.folder, "run", "adapter", "adapter_model.safetensors"))).toBe(true);
});

describe("without ONNX Runtime", () => {
  const version = /\d+\.\d+/.exec(MANIFEST.optionalDependencies[RUNTIME]!)![0];
  const sentence = `the embedded engine needs the package ${RUNTIME}, which is not installed: npm install ${RUNTIME}@${version} --ignore-scripts`;

  test("training asks for it in one sentence, and so does whatever else opens a local model", () => {
    expect(train(lean)).toEqual({ code: 2, out: "", err: `klamp: ${sentence}\n` });
    expect(existsSync(join(lean.folder, "run"))).toBe(false);
    const message = lean.run(`
      import { UserError } from "klamp";
      import { LocalModel } from "klamp/engine";
      const error = await LocalModel.open("node_modules/klamp/models/small-world").catch((error) => error);
      console.log(JSON.stringify(error instanceof UserError && error.message));`);
    expect(message).toBe(sentence);
  });

  test("TypeScript finds all types of a page's entries, without those of Node.js", () => {
    const page = ["divergence", "regularizer", "reference"].map(
      (entry) => `export * as ${entry} from "klamp/${entry}";`,
    );
    expect(lean.typeErrors(page.join("\n"), [], ["ES2023", "DOM"])).toBe("");
  });

  test("TypeScript finds all types of the other entries, given those of Node.js", () => {
    mkdirSync(join(lean.folder, "node_modules", "@types"), { recursive: true });
    for (const name of ["@types/node", "undici-types"]) {
      symlinkSync(join(ROOT, "node_modules", name), join(lean.folder, "node_modules", name), "junction");
    }
    const entries = ["", "/engine", "/reference/store", "/server", "/tinker"];
    const module = entries.map((entry, i) => `export * as entry${i} from "klamp${entry}";`);
    expect(lean.typeErrors(module.join("\n"), ["node"], ["ES2023"])).toBe("");
  });

  test("a bundler takes the regularizers, though what jax-js differentiates needs a package that is not there", async () => {
    const { warnings } = await build({
      stdin: { contents: 'export * from "klamp/regularizer";', resolveDir: lean.folder },
      bundle: true,
      platform: "browser",
      format: "esm",
      write: false,
      logLevel: "silent",
    });
    expect(warnings.map(({ text }) => text)).toEqual([]);
  });
});
