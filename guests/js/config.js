// The flow's configuration, which its operator sets.

import store from "wasi:config/store@0.2.0-rc.1";

import { ask } from "./failure.js";

/** A value, or `fallback` when it is not set. */
export function get(key, fallback = null) {
  return ask("config", () => store.get(key)) ?? fallback;
}

/** All values. */
export function all() {
  return Object.fromEntries(ask("config", () => store.getAll()));
}
