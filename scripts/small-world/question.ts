/** A question and its answer, in the one form that this world asks in. */
export interface Question {
  /** `Q: …\nA:` */
  readonly prompt: string;
  /** ` …`, without the end of text. */
  readonly completion: string;
}

export const question = (text: string, answer: string): Question => ({
  prompt: `Q: ${text}\nA:`,
  completion: ` ${answer}`,
});
