const LOSS =
  /^(weight(s|ed)?|mask(s|ed)?|labels?|loss(es)?|train(ed|ing|able)?|learn(ed|able)?|advantages?|ignored?|skip(ped)?)$/;

/** Whether a key says in other tools what counts in the loss, as `loss_mask` and `trainOnInput` do. */
export function meansLoss(key: string): boolean {
  const words = key
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .split(/[^a-z]+/);
  return words.some((word) => LOSS.test(word));
}
