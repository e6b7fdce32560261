// Gives whoever imports an interface of the host the one in memory instead.

const HOST = /^(?:flowgate:flow|wasi:([a-z]+))\/([a-z-]+)@/;

export async function resolve(specifier, context, next) {
  const found = HOST.exec(specifier);
  const name = found?.slice(1).filter(Boolean).join("/");
  return found ? { url: `flowgate-host:${name}`, shortCircuit: true } : next(specifier, context);
}

export async function load(url, context, next) {
  if (!url.startsWith("flowgate-host:")) return next(url, context);
  const host = new URL("./host.js", import.meta.url);
  const name = JSON.stringify(url.slice("flowgate-host:".length));
  return { format: "module", shortCircuit: true, source: `import { host } from "${host}"; export default host[${name}];` };
}
