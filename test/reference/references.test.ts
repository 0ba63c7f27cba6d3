import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import type { Datum } from "../../src/data/datum.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import {
  baseReference,
  computedReference,
  fieldReference,
  givenReference,
  type ReferenceOptions,
  resolveReference,
} from "../../src/reference/index.ts";
import { logprobs } from "../divergence/oracle.ts";
import { datumOf } from "../regularizer/datums.ts";

const [A, B] = [logprobs([[0.5, 0.5]]), logprobs([[0.1, 0.9]])];
const DATA = [datumOf([1], { source: "train.jsonl:1" }), datumOf([1], { source: "train.jsonl:4" })];

describe("exactly one reference", () => {
  const given: Required<Omit<ReferenceOptions, "declared">> = {
    referenceLogprobs: [A],
    referenceField: "base",
    computeReference: () => [A],
    reference: givenReference([A]),
  };

  test("none: the error names all ways", () => {
    for (const options of [{}, { referenceLogprobs: undefined }]) {
      expect(() => resolveReference(options)).toThrow(UserError);
      expect(() => resolveReference(options)).toThrow(/referenceLogprobs .* referenceField .* computeReference/);
    }
  });

  test("more than one: the error names those", () => {
    expect(() => resolveReference({ referenceLogprobs: [A], computeReference: () => [A] })).toThrow(
      "referenceLogprobs and computeReference are given, and only one can be the reference",
    );
    expect(() => resolveReference(given)).toThrow(UserError);
  });

  test.each(Object.keys(given) as (keyof typeof given)[])("%s alone is taken", async (name) => {
    const datum = datumOf([1], { fields: { base: A } });
    expect(await resolveReference({ [name]: given[name] }).resolve([datum])).toEqual([A]);
  });
});

describe("given", () => {
  test("a list in the order of the data, or one tensor for one datum", async () => {
    expect(await givenReference([A, B]).resolve(DATA)).toEqual([A, B]);
    expect(await givenReference(A).resolve(DATA.slice(1))).toEqual([A]);
  });

  test("a list of another length is refused, also when it is longer", async () => {
    for (const list of [[A], [A, B, A], A])
      await expect(givenReference(list).resolve(DATA)).rejects.toThrow(
        /tensors for 2 datums: give one per datum, or a Map/,
      );
  });

  test("a map serves any part of the data in any order, and says which datum it lacks", async () => {
    const map = new Map([
      [DATA[0]!, A],
      [DATA[1]!, B],
    ]);
    expect(await givenReference(map).resolve([...DATA].reverse())).toEqual([B, A]);
    map.delete(DATA[1]!);
    await expect(givenReference(map, { description: "cache.safetensors" }).resolve(DATA)).rejects.toThrow(
      "cache.safetensors has no log-probabilities for datum 1 (train.jsonl:4)",
    );
  });
});

describe("field", () => {
  test("each datum brings its own", async () => {
    const data = [A, B].map((base) => datumOf([1], { fields: { base } }));
    expect(await fieldReference("base").resolve(data)).toEqual([A, B]);
  });

  test("the datum that lacks it is named, with the fields it has", async () => {
    const data = [datumOf([1], { fields: { base: A } }), DATA[1]!];
    const resolved = fieldReference("base").resolve(data);
    await expect(resolved).rejects.toThrow(UserError);
    await expect(resolved).rejects.toThrow(
      'datum 1 (train.jsonl:4) has no field "base" for the reference; it has target_tokens, weights:',
    );
  });

  test("token ids are not log-probabilities", async () => {
    await expect(fieldReference("target_tokens").resolve(DATA)).rejects.toThrow(
      'the field "target_tokens" of datum 0 (train.jsonl:1) holds token ids',
    );
  });
});

describe("computed", () => {
  test("sync or async; callers at the same time share one call, for the same data only", async () => {
    for (const compute of [() => [A, B], async () => [A, B]]) {
      const asked: (readonly Datum[])[] = [];
      const reference = computedReference((data) => {
        asked.push(data);
        return compute();
      });
      const answers = await Promise.all([
        reference.resolve(DATA),
        reference.resolve([...DATA]),
        reference.resolve(DATA),
      ]);
      for (const answer of answers) expect(answer).toEqual([A, B]);
      expect(asked).toHaveLength(1);
      await Promise.all([reference.resolve(DATA), reference.resolve([DATA[1]!, DATA[0]!])]);
      expect(asked).toHaveLength(3);
    }
  });

  test("asked again later, it computes again: what it stands for may have moved", async () => {
    let calls = 0;
    const reference = computedReference(() => {
      calls++;
      return [A, B];
    });
    await reference.resolve(DATA);
    await reference.resolve(DATA);
    expect(calls).toBe(2);
  });

  test("a failure carries the reference's name and its cause, and the next call tries again", async () => {
    const causes = [new Error("connection refused"), new UserError("no such model"), "a string"];
    for (const cause of causes) {
      let calls = 0;
      const reference = computedReference(
        () => {
          if (calls++ === 0) throw cause;
          return [A, B];
        },
        { description: "server", retries: 0 },
      );
      const failures = await Promise.allSettled([reference.resolve(DATA), reference.resolve(DATA)]);
      for (const failure of failures) {
        expect(failure).toMatchObject({
          reason: { message: `the reference server failed: ${cause instanceof Error ? cause.message : cause}`, cause },
        });
      }
      expect((failures[0] as PromiseRejectedResult).reason instanceof UserError).toBe(cause instanceof UserError);
      expect(await reference.resolve(DATA)).toEqual([A, B]);
    }
  });

  test("anything but a list is refused", async () => {
    const compute = (() => A) as unknown as () => Tensor[];
    await expect(computedReference(compute).resolve(DATA)).rejects.toThrow(
      "the reference computeReference failed: expected a list with one tensor per datum",
    );
  });
});

test("the base is asked once for the same data, however often and however late, and again after a failure", async () => {
  let calls = 0;
  const base = baseReference({
    distributions: async (data) => {
      if (calls++ === 1) throw new Error("out of memory");
      return data.map(() => A);
    },
  });
  expect(base.description).toBe("base");
  await base.resolve(DATA);
  expect(await base.resolve([...DATA])).toEqual([A, A]);
  expect(calls).toBe(1);
  await expect(base.resolve(DATA.slice(1))).rejects.toThrow("the reference base failed: out of memory");
  await base.resolve(DATA.slice(1));
  expect(calls).toBe(3);
});
