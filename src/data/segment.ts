/** A stretch of one whole text, in order: weight 0 is given to the model, above 0 is learned. */
export interface Segment {
  readonly text: string;
  readonly weight: number;
}
