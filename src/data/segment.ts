/** A stretch of a text: weight 0 is given to the model, above 0 is learned with that weight. */
export interface Segment {
  readonly text: string;
  readonly weight: number;
}
