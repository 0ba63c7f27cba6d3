/** The settings that a function works with: what is given, and defaults where it is undefined. */
export function withDefaults<Defaults extends object, Options extends { readonly [Key in keyof Defaults]?: unknown }>(
  defaults: Defaults,
  options: Options,
): { [Key in keyof Defaults]: Exclude<Options[Key], undefined> } {
  const keys = Object.keys(defaults) as (keyof Defaults)[];
  return Object.fromEntries(keys.map((key) => [key, options[key] ?? defaults[key]])) as never;
}
