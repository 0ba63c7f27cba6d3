import type { Command } from "commander";
import { UserError } from "../common/errors.ts";
import { wrapText } from "../common/wrap-text.ts";
import { exampleConfig } from "../config/example.ts";
import type { MetricInfo } from "../config/kind.ts";
import { EVALUATION_METRICS, REGULARIZER_METRICS, STEP_METRICS } from "../config/metrics.ts";
import { KINDS } from "../config/regularizers/index.ts";
import type { Shell } from "./shell.ts";

const WIDTH = 100;

/** Long lists, by the topic that asks for them. */
const TOPICS: Readonly<Record<string, { readonly summary: string; readonly text: () => string }>> = {
  config: { summary: "every setting of a configuration, with its default and meaning", text: configTopic },
  metrics: { summary: "what is measured in each step: the names in metrics.jsonl", text: metricsTopic },
};

/** A line a topic, for the help of commands. */
export const TOPIC_LINES = Object.entries(TOPICS)
  .map(([topic, { summary }]) => `  klamp help ${topic.padEnd(10)} ${summary}\n`)
  .join("");

export function registerHelp(program: Command, shell: Shell): void {
  program
    .command("help")
    .argument("[topic]", `${Object.keys(TOPICS).join(", ")}, or a command`)
    .description("help on a command, or a long list: klamp help config, klamp help metrics")
    .action((topic: string | undefined) => {
      if (topic === undefined) return program.outputHelp();
      if (Object.hasOwn(TOPICS, topic)) {
        shell.out.write(TOPICS[topic]!.text());
        return undefined;
      }
      const command = program.commands.find((each) => each.name() === topic);
      if (command) return command.outputHelp();
      const commands = program.commands.map((each) => each.name()).filter((name) => name !== "help");
      throw new UserError(`no help on ${topic}: give ${[...Object.keys(TOPICS), ...commands].join(", ")}`);
    });
}

function configTopic(): string {
  return `# Every setting, with its default or an example. A configuration needs a model and data only.
# One setting can be changed without the file, as often as needed: --set train.steps=50

${exampleConfig()}`;
}

function metricsTopic(): string {
  const sections = [
    { title: "Every step", formula: undefined, metrics: STEP_METRICS },
    { title: "Steps that evaluate.every measures", formula: undefined, metrics: EVALUATION_METRICS },
    { title: "Every regularizer", formula: undefined, metrics: REGULARIZER_METRICS },
    ...KINDS.map(({ type, headline, metrics }) => ({
      title: `type: ${type}`,
      formula: metrics[headline.metric]?.formula,
      metrics,
    })),
  ];
  const text = sections.map(({ title, formula, metrics }) => {
    const lines = Object.entries<MetricInfo>(metrics).flatMap(([name, info]) => metricLines(name, info));
    return `${formula === undefined ? title : `${title}: ${formula}`}\n${lines.join("")}`;
  });
  return `With one regularizer its metrics have their own names, with several NAME/METRIC.\n\n${text.join("\n")}`;
}

function metricLines(name: string, { unit, meaning }: MetricInfo): string[] {
  const indent = "  ".padEnd(30);
  const said = unit === "" ? meaning : `${meaning} (${unit})`;
  return wrapText(said, WIDTH - indent.length).map(
    (line, i) => `${i === 0 ? `${`  ${name}`.padEnd(29)} ` : indent}${line}\n`,
  );
}
