// Lines for the execution's log.

import logging from "wasi:logging/logging@0.1.0-draft";

const at = (level) => (...what) => logging.log(level, "flow", what.map(shown).join(" "));

export const trace = at("trace");
export const debug = at("debug");
export const info = at("info");
export const warn = at("warn");
export const error = at("error");

function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.stack ? `${value}\n${value.stack}` : String(value);
  if (typeof value === "function") return `[function ${value.name}]`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
