import { PythonError, type Value } from "../python/values.ts";

/**
 * The most that a rendering may do, in steps: a statement, an item that is gone through, a call, or 256 characters of
 * what a call is given or gives. About a second; templates take some dozens for a message.
 */
const MOST_WORK = 2_000_000;

/** A stretch of a rendering, in UTF-16 units. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** One pass of a loop that writes straight into the rendering. */
export interface Pass extends Stretch {
  readonly item: Value;
  readonly index: number;
  /** Which loop of the rendering it belongs to, and how many passes that loop has. */
  readonly loop: number;
}

/** Text that is being written. */
export class Output {
  text = "";
  write(text: string): void {
    this.text += text;
  }
}

/** What one rendering of a template writes and notes. */
export class Run {
  readonly whole = new Output();
  /** Where text is written now: the whole, or what a macro or block catches. */
  output = this.whole;
  /** What `{% generation %}` marks. */
  readonly marks: Stretch[] = [];
  /** The passes of the outermost loops, in order. */
  readonly passes: Pass[] = [];
  readonly now: Date;
  loops = 0;
  depth = 0;
  #left = MOST_WORK;

  constructor(now: Date) {
    this.now = now;
  }

  /** Counts work, so that a template that would not end in time does end. @throws PythonError when there was too much. */
  spend(work: number): void {
    this.#left -= work;
    if (this.#left < 0) throw new PythonError(`it takes more than ${MOST_WORK.toLocaleString("en")} steps`);
  }

  /** What `write` writes, instead of writing it. */
  capture(write: () => void): string {
    const before = this.output;
    const caught = new Output();
    this.output = caught;
    try {
      write();
    } finally {
      this.output = before;
    }
    return caught.text;
  }
}
