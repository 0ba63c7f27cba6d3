import { logSoftmax } from "../../src/divergence/index.ts";
import { matrix } from "../divergence/oracle.ts";

/** @file Distributions over three tokens for a datum of two rows and one of one, small enough to work out by hand. */

export const MODEL = [
  logSoftmax(
    matrix([
      [1, 0, -1],
      [0.5, 2, 0],
    ]),
  ),
  logSoftmax(matrix([[0, 0, 3]])),
];
export const REFERENCE = [
  logSoftmax(
    matrix([
      [0, 1, 0],
      [1, 1, 0],
    ]),
  ),
  logSoftmax(matrix([[1, 0, 1]])),
];
