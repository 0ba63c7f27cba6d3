import { choosingFilters } from "./choose.ts";
import type { Filter } from "./filter.ts";
import { jsonFilters } from "./json.ts";
import { listFilters } from "./list.ts";
import { numberFilters } from "./number.ts";
import { textFilters } from "./text.ts";

/** The filters of Jinja2 that klamp has, by name. */
export const filters: Readonly<Record<string, Filter>> = {
  ...choosingFilters,
  ...jsonFilters,
  ...listFilters,
  ...numberFilters,
  ...textFilters,
};
