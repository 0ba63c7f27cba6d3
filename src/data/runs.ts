import type { Datum } from "./datum.ts";

/** Neighbours together, up to so much in all, whatever `sizeOf` counts; what is larger by itself stays alone. */
export function* runs(data: readonly Datum[], most: number, sizeOf: (datum: Datum) => number): Generator<Datum[]> {
  let run: Datum[] = [];
  let size = 0;
  for (const datum of data) {
    if (run.length > 0 && size + sizeOf(datum) > most) {
      yield run;
      run = [];
      size = 0;
    }
    run.push(datum);
    size += sizeOf(datum);
  }
  if (run.length > 0) yield run;
}
