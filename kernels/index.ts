export { temperature } from "./exp";
export { gradientOfExp, largest, sumsBelow } from "./one";
export { closeKL, gradientOfRatio, gradientOfTwo, offset, pair } from "./ratio";
export { shifted, sumsOfOne, sumsOfTwo } from "./sums";
