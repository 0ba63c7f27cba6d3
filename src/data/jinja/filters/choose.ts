import { bind } from "../../python/arguments.ts";
import { ownAttribute } from "../../python/lookup.ts";
import { str } from "../../python/print.ts";
import { isTrue, iterate } from "../../python/sequence.ts";
import { type Arguments, Iterator, PythonError, textOf, Undefined, type Value } from "../../python/values.ts";
import { attributeGetter, type Filter, type FilterContext } from "./filter.ts";

/** Filters that choose among values, or apply another filter to each. */
export const choosingFilters: Readonly<Record<string, Filter>> = {
  attr: (value, args) => {
    const [name = ""] = bind("attr", args, ["name"]);
    if (value instanceof Undefined) value.fail();
    const found = ownAttribute(value, str(name));
    return found === undefined ? new Undefined(`the value has no attribute '${str(name)}'`) : found;
  },
  d: otherwise,
  default: otherwise,
  map: (value, args, context) => new Iterator(itemsIfAny(value).map(mapper(args, context))),
  reject: (value, args, context) => filtered(value, args, context, { keep: false, byAttribute: false }),
  rejectattr: (value, args, context) => filtered(value, args, context, { keep: false, byAttribute: true }),
  select: (value, args, context) => filtered(value, args, context, { keep: true, byAttribute: false }),
  selectattr: (value, args, context) => filtered(value, args, context, { keep: true, byAttribute: true }),
};

function otherwise(value: Value, args: Arguments): Value {
  const [fallback = "", boolean = false] = bind("default", args, ["default_value", "boolean"]);
  return value instanceof Undefined || (isTrue(boolean) && !isTrue(value)) ? fallback : value;
}

function mapper({ positional, named }: Arguments, context: FilterContext): (item: Value) => Value {
  const attribute = named.get("attribute");
  if (positional.length === 0 && attribute !== undefined) return attributeGetter(attribute, named.get("default"));
  const [name, ...rest] = positional;
  const filter = textOf(name);
  if (filter === undefined) throw new PythonError("map requires a filter argument");
  return (item) => context.filter(filter, item, { positional: rest, named });
}

function filtered(
  value: Value,
  { positional, named }: Arguments,
  context: FilterContext,
  { keep, byAttribute }: { keep: boolean; byAttribute: boolean },
): Value {
  const attribute = byAttribute ? positional[0] : undefined;
  const [name, ...rest] = byAttribute ? positional.slice(1) : positional;
  if (byAttribute && attribute === undefined) throw new PythonError("Missing parameter for attribute name");
  const get = attributeGetter(attribute);
  const test = textOf(name);
  const holds = (item: Value) =>
    test === undefined ? isTrue(get(item)) : context.test(test, get(item), { positional: rest, named });
  return new Iterator(itemsIfAny(value).filter((item) => holds(item) === keep));
}

/** The items of a value; none of one that counts as false, whatever it is. */
function itemsIfAny(value: Value): Value[] {
  return isTrue(value) ? [...iterate(value)] : [];
}
