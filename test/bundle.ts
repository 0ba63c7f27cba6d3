import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** What a bundler for browsers makes of a module that says this, and which files went in; a module of Node's is an error. */
export async function bundle(contents: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL("..", import.meta.url)) },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  return { code: outputFiles[0]!.contents, inputs: Object.keys(metafile.inputs) };
}
