import { resolve } from "node:path";
import type { Command } from "commander";
import { UserError } from "../common/errors.ts";
import { shownPath } from "../common/shown-path.ts";
import { loadConfig } from "../config/file.ts";
import { type FilledStore, fillStores, inspectStore } from "../run/index.ts";
import { downloadLine } from "./download-line.ts";
import { formatDuration, type ProgressLine, progressLine } from "./progress.ts";
import type { Shell } from "./shell.ts";
import { formatBytes, formatInspection } from "./store-table.ts";
import { collect } from "./train.ts";

const BUILD_HELP = `
A configuration names a store where a regularizer's reference is one:
  regularizers:
    - text: completions
      reference: { store: ./reference, kind: top-k, k: 64 }
    - text: { file: ./texts.jsonl }
      reference: { store: ./hidden, kind: hidden }

The store gets the base's distributions on the regularizer's texts, which are samples of the base
unless set; with \`of: start\`, those of the adapter that training starts from. Texts that it already
has are skipped. Ctrl-C stops after the current block; the same command continues, also after a
crash.

Examples:
  klamp reference build --config config.yaml
  klamp train --config config.yaml
`;

const INSPECT_HELP = `
Reads the whole store and checks every checksum. Shows what it holds, how much of the base's
probability its positions cover, and how certain the base is.

Examples:
  klamp reference inspect ./reference
`;

export function registerReference(program: Command, shell: Shell): void {
  const reference = program
    .command("reference")
    .helpCommand(false)
    .description("compute the base's distributions once and keep them in a store");
  registerBuild(reference, shell);
  registerInspect(reference, shell);
}

function registerBuild(reference: Command, shell: Shell): void {
  reference
    .command("build")
    .description("fill the reference stores that a configuration names")
    .option("--config <file>", "YAML configuration, as for train; paths in it count from its folder")
    .option("--set <key=value>", "change one setting, as often as needed", collect)
    .addHelpText("after", BUILD_HELP)
    .action(async ({ config: file, set }: { config?: string; set?: string[] }) => {
      if (file === undefined) {
        throw new UserError(
          "reference build needs a configuration, as in `klamp reference build --config config.yaml`; `klamp reference build --help` shows one.",
        );
      }
      const { err, out, now, signal } = shell;
      let line: ProgressLine | undefined;
      let started = now();
      const download = downloadLine(err, now);
      try {
        const filled = await fillStores(loadConfig(file, set), {
          onDownload: download.show,
          note: (text) => {
            download.done();
            line?.done();
            line = undefined;
            started = now();
            err.write(`${text}\n`);
          },
          onProgress: ({ texts, of, rows }) => {
            line ??= progressLine(of, err, now);
            const rate = Math.round((1000 * rows) / (now() - started)).toLocaleString("en-US");
            const show = (left: number) => (Number.isNaN(left) ? "" : `  ${formatDuration(left)} left`);
            line.show(texts, (left) => `text ${texts}/${of}  ${rate} rows/s${show(left)}`);
          },
          signal,
        });
        line?.done();
        for (const store of filled) out.write(`${describe(store)}\n`);
      } finally {
        download.done();
        line?.done();
      }
    });
}

function describe({ settings, texts, of, rows, found, interrupted, bytes }: FilledStore): string {
  const folder = shownPath(settings.store);
  if (interrupted) return `${folder}: interrupted after ${texts} of ${of} texts; the same command continues`;
  const added = `${texts} texts added, ${rows} rows`;
  const before = found > 0 ? `, ${found} were there` : "";
  return `${folder}: ${of === 0 ? "nothing to add" : added}${before}; ${formatBytes(bytes)} in all`;
}

function registerInspect(reference: Command, shell: Shell): void {
  reference
    .command("inspect")
    .argument("<folder>", "a reference store")
    .description("show what a reference store holds, and check it")
    .addHelpText("after", INSPECT_HELP)
    .action(async (folder: string) => {
      const { err, out, now, signal } = shell;
      let line: ProgressLine | undefined;
      // Records are read faster than lines.
      let shown = now();
      try {
        const inspection = await inspectStore(resolve(folder), {
          signal,
          onRecord: (done, of) => {
            if (now() - shown < 500) return;
            shown = now();
            line ??= progressLine(of, err, now);
            line.show(
              done,
              (left) => `record ${done}/${of}${Number.isNaN(left) ? "" : `  ${formatDuration(left)} left`}`,
            );
          },
        });
        line?.done();
        out.write(formatInspection(shownPath(resolve(folder)), inspection));
        const [first, ...more] = inspection.faults;
        if (first === undefined) return;
        for (const fault of more.slice(0, 9)) err.write(`${fault}\n`);
        throw new UserError(more.length === 0 ? first : `${first} (${more.length + 1} records are damaged)`);
      } finally {
        line?.done();
      }
    });
}
