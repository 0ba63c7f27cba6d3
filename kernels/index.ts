export { temperature } from "./exp";
export { useRoom } from "./lanes";
export { mixed, mixture, shape } from "./mixture";
export { centered, gradientOfCentered, gradientOfExp, largest, sumsBelow } from "./one";
export { closeKL, gradientOfRatio, gradientOfTwo, offset, pair } from "./ratio";
export { selectLargest, sum } from "./selection";
export { sumsAgainst, sumsOfOne, sumsOfTwo } from "./sums";
