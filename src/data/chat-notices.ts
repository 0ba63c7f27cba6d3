import type { ChatFacts } from "./chat/index.ts";

/** Counts what conversations of a file are not shown or learned, so that it is told once. */
export class ChatNotices {
  readonly #passing = new Tally();
  readonly #unwritten = new Tally();
  readonly #unread = new Map<string, Tally>();

  /** @param source of the line. */
  add({ passing, unwritten, unread, messages }: ChatFacts, source: string): void {
    this.#passing.add(passing.length, `${source}, messages[${passing[0]}]`);
    const [first] = unwritten;
    if (first) {
      const { role } = messages[first.turn]!;
      this.#unwritten.add(unwritten.length, `${source}, messages[${first.turn}].${first.key} of the role ${role}`);
    }
    for (const name of unread) {
      const tally = this.#unread.get(name) ?? new Tally();
      this.#unread.set(name, tally);
      tally.add(1, source);
    }
  }

  sentences(file: string): string[] {
    const passing = this.#passing.says(
      (all, lines) =>
        `${counted(all, "answer")} in ${counted(lines, "line")} of ${file} ${all === 1 ? "is" : "are"} given and not learned, since the chat template writes such turns differently once later ones are there, as those do that leave earlier reasoning out; to learn one, end a line with it`,
    );
    const unwritten = this.#unwritten.says(
      (all, lines) =>
        `the chat template writes nothing of ${counted(all, "message")} in ${counted(lines, "line")} of ${file}, so the model is not shown that`,
    );
    const unread = [...this.#unread].map(([name, tally]) =>
      tally.says(
        (lines) =>
          `the chat template does not read \`${name}\`, which ${counted(lines, "line")} of ${file} ${lines === 1 ? "gives" : "give"}, so the model is not shown that`,
      ),
    );
    return [passing, unwritten, ...unread].filter((sentence) => sentence !== undefined);
  }
}

/** How many there are of something, in how many lines, and where the first is. */
class Tally {
  #all = 0;
  #lines = 0;
  #first = "";

  add(count: number, where: string): void {
    if (count === 0) return;
    if (this.#all === 0) this.#first = where;
    this.#all += count;
    this.#lines++;
  }

  says(sentence: (all: number, lines: number) => string): string | undefined {
    return this.#all === 0 ? undefined : `${sentence(this.#all, this.#lines)} (the first: ${this.#first})`;
  }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
