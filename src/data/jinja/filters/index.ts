import { bind } from "../../python/arguments.ts";
import { choosingFilters } from "./choose.ts";
import type { Filter } from "./filter.ts";
import { jsonFilters } from "./json.ts";
import { listFilters } from "./list.ts";
import { numberFilters } from "./number.ts";
import { textFilters } from "./text.ts";

/** The filters of Jinja2 that klamp has, by name. */
export const filters: Readonly<Record<string, Filter>> = strict({
  ...choosingFilters,
  ...jsonFilters,
  ...listFilters,
  ...numberFilters,
  ...textFilters,
});

/** Those that look at no arguments take none. */
function strict(all: Readonly<Record<string, Filter>>): Record<string, Filter> {
  const checked = Object.entries(all).map(([name, filter]): [string, Filter] => {
    if (filter.length > 1) return [name, filter];
    return [
      name,
      (value, args, context) => {
        bind(name, args, []);
        return filter(value, args, context);
      },
    ];
  });
  return Object.fromEntries(checked);
}
