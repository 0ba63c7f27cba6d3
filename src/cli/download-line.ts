import type { DownloadProgress } from "../hub/snapshot.ts";
import { formatDuration, type ProgressLine, type ProgressStream, progressLine } from "./progress.ts";

/** Shows downloads, each in one line: how much is there, how fast it comes, and the time left. */
export function downloadLine(stream: ProgressStream, now: () => number) {
  let line: ProgressLine | undefined;
  let first:
    | { readonly time: number; readonly bytes: number; readonly name: string; readonly total: number }
    | undefined;
  const done = () => {
    line?.done();
    line = undefined;
    first = undefined;
  };
  return {
    show: ({ name, bytes, total }: DownloadProgress) => {
      if (first?.name !== name || first.total !== total || bytes < first.bytes) done();
      first ??= { time: now(), bytes, name, total };
      line ??= progressLine(total, stream, now);
      const speed = (1000 * (bytes - first.bytes)) / (now() - first.time);
      line.show(bytes, (left) => formatDownload({ name, bytes, total }, speed, left));
      if (bytes === total) done();
    },
    done,
  };
}

/**
 * @param speed bytes a second; 0 or not finite when it is not known yet.
 * @example "ORG/NAME  120.0/269.1 MB  8.3 MB/s  0:18 left"
 */
export function formatDownload({ name, bytes, total }: DownloadProgress, speed: number, secondsLeft: number): string {
  const megabytes = (count: number) => (count / 1e6).toFixed(1);
  return [
    name,
    `${megabytes(bytes)}/${megabytes(total)} MB`,
    ...(speed > 0 && speed < Number.POSITIVE_INFINITY ? [`${megabytes(speed)} MB/s`] : []),
    ...(Number.isFinite(secondsLeft) ? [`${formatDuration(secondsLeft)} left`] : []),
  ].join("  ");
}
