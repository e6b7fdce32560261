// What the flow keeps for all its executions, whatever session they belong to.

import atomics from "wasi:keyvalue/atomics@0.2.0-draft2";
import store from "wasi:keyvalue/store@0.2.0-draft2";

import { HostError, ask } from "./failure.js";
import { json, octets } from "./output.js";
import { text } from "./utf8.js";

const UPDATE_ATTEMPTS = 16;

/** Opens a store of the flow's own. Values are JSON. */
export function open(name = "") {
  const call = (what) => ask("keyvalue", what);
  const bucket = call(() => store.open(name));
  const read = (bytes) => (bytes === null ? undefined : JSON.parse(text(bytes)));
  return {
    /** Reads a value; undefined when there is none. */
    get: (key) => read(call(() => bucket.get(key))),
    /** Writes a value. */
    set: (key, value) => call(() => bucket.set(key, octets(json(value)))),
    /** Removes a key. */
    remove: (key) => call(() => bucket.delete(key)),
    /** Whether there is such a key. */
    has: (key) => call(() => bucket.exists(key)),
    /** Adds to a number and returns the sum. */
    increment: (key, by = 1) => call(() => atomics.increment(bucket, key, by)),
    /** All keys. */
    *keys() {
      for (let cursor = null; ; ) {
        const page = call(() => bucket.listKeys(cursor));
        yield* page.keys;
        if ((cursor = page.cursor) === null) return;
      }
    },
    /** Writes what `change` makes of the value, again if another execution came between, and returns it. */
    update(key, initial, change) {
      for (let attempt = 1; ; attempt++) {
        const cas = call(() => atomics.Cas.new(bucket, key));
        const value = read(call(() => cas.current())) ?? JSON.parse(json(initial));
        const next = change(value) ?? value;
        try {
          call(() => atomics.swap(cas, octets(json(next))));
          return next;
        } catch (error) {
          const lost = error instanceof HostError && error.code === "cas-failed";
          if (!lost || attempt === UPDATE_ATTEMPTS) throw error;
        }
      }
    },
  };
}
