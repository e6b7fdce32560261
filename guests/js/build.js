#!/usr/bin/env node
// Makes a component of a flow: `flowgate-build [flow.js|flow.ts] [-o flow.wasm] [--wit wit]`.
//
// esbuild bundles and strips types, componentize-qjs adds the engine. The component imports only those interfaces that the
// bundle still names after esbuild has dropped what is not used: the world is written anew for each build.

import { cpSync, existsSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const SDK = dirname(fileURLToPath(import.meta.url));
const HOST = /^(flowgate|wasi):/;
const PACKAGE = "flowgate:flow";
const VERSION = "0.1.0";

/** Builds; returns the number of bytes. */
export async function build({ source, out, wit }) {
  const [esbuild, { componentize }] = await Promise.all([import("esbuild"), import("componentize-qjs")]);
  const { code, imports, describes } = await bundle(esbuild, source);
  const world = join(dirname(out), "wit");
  rmSync(world, { recursive: true, force: true });
  worldOf({ wit, world, imports, describes });
  const { component } = await componentize({ witPath: world, world: "flow", jsSource: code, sync: true });
  writeFileSync(out, component);
  return component.length;
}

/** One module of everything, without types; what it imports of the host; whether it describes itself. */
async function bundle(esbuild, source) {
  const common = { bundle: true, format: "esm", platform: "neutral", write: false, metafile: true, logLevel: "silent" };
  const own = await esbuild.build({ ...common, entryPoints: [source], packages: "external" });
  const { exports } = Object.values(own.metafile.outputs)[0];
  if (!exports.includes("default")) throw new Error(`${source} has no default export: \`export default flow(…)\``);
  const describes = exports.includes("description");
  const path = JSON.stringify(resolve(source));
  const lines = ['import "flowgate/install";', `export { default as handler } from ${path};`];
  if (describes) {
    lines.push(`import { description } from ${path};`, "const json = JSON.stringify(description);");
    lines.push("export const describe = { describe: () => json };");
  }
  const built = await esbuild.build({
    ...common,
    stdin: { contents: lines.join("\n"), resolveDir: dirname(resolve(source)), sourcefile: "component.js" },
    mainFields: ["module", "main"],
    conditions: ["flowgate"],
    // The engine's promises do not settle before an export has returned; generators do without them.
    supported: { "async-await": false, "async-generator": false, "for-await": false },
    alias: { flowgate: SDK },
    inject: [join(SDK, "globals.js")],
    plugins: [{ name: "host", setup: external }],
    keepNames: true,
    target: "es2023",
  });
  const [{ imports }] = Object.values(built.metafile.outputs);
  return { code: built.outputFiles[0].text, imports: [...new Set(imports.map(({ path }) => path))].sort(), describes };
}

/** The host's interfaces stay imports, unless nothing of them is used. */
function external(build) {
  build.onResolve({ filter: HOST }, ({ path }) => ({ path, external: true, sideEffects: false }));
}

/** The world with these imports, beside the packages that they come from. */
function worldOf({ wit, world, imports, describes }) {
  const deps = join(world, "deps");
  mkdirSync(deps, { recursive: true });
  cpSync(join(wit, `flow-${VERSION}`), join(deps, "flow"), { recursive: true });
  for (const name of readdirSync(join(wit, "deps"))) cpSync(join(wit, "deps", name), join(deps, name), { recursive: true });
  const exports = [`${PACKAGE}/handler@${VERSION}`, ...(describes ? [`${PACKAGE}/describe@${VERSION}`] : [])];
  const lines = [...imports.map((name) => `  import ${name};`), ...exports.map((name) => `  export ${name};`)];
  writeFileSync(join(world, "world.wit"), `package flowgate:project;\n\nworld flow {\n${lines.join("\n")}\n}\n`);
}

async function main() {
  const options = { out: { type: "string", short: "o", default: "build/flow.wasm" }, wit: { type: "string", default: "wit" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const source = positionals[0] ?? ["flow.ts", "flow.js"].find((name) => existsSync(name));
  if (!source) throw new Error("there is no flow.ts and no flow.js here");
  const size = await build({ source, ...values });
  console.log(`${values.out}: ${size} bytes`);
}

if (process.argv[1] && fileURLToPath(import.meta.url) === realpathSync(process.argv[1])) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
