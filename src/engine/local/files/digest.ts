import { createHash } from "node:crypto";
import type { Tensor } from "../../../divergence/tensor.ts";

/** `sha256:…` of named tensors and the settings that go with them, the same however files hold them. */
export function tensorsDigest(tensors: ReadonlyMap<string, Tensor>, settings: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const name of [...tensors.keys()].sort()) {
    const { data, shape } = tensors.get(name)!;
    hash.update(`\n${name} ${shape.join("x")}\n`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return `sha256:${hash.digest("hex")}`;
}
