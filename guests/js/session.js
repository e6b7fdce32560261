// The conversation that this execution belongs to: its messages and its state.

import session from "flowgate:flow/session@0.1.0";

import { HostError, ask } from "./failure.js";
import { json, octets } from "./output.js";
import { text } from "./utf8.js";

const UPDATE_ATTEMPTS = 16;

const call = (what) => ask("session", what);

/** The last `limit` messages before this execution's own, oldest first. */
export function messages(limit = 50, { before = null } = {}) {
  const found = call(() => session.messages(limit, before));
  return found.map((message) => ({ ...message, data: message.data === null ? null : JSON.parse(message.data) }));
}

/** Adds a message now and returns its number. */
export function append(role, text, data) {
  return call(() => session.append(role, text, json(data)));
}

/** Reads a value that `set` or `update` wrote; undefined when there is none. */
export function get(key) {
  return read(key).value;
}

/** Reads a value and its version, which is 0 when there is none. */
export function read(key) {
  const entry = call(() => session.get(key));
  return entry === null ? { value: undefined, version: 0 } : { value: JSON.parse(text(entry.value)), version: entry.version };
}

/** Writes a value as JSON and returns its version. With `expect`, only when the key is at this version. */
export function set(key, value, { expect = null } = {}) {
  return call(() => session.set(key, octets(json(value)), expect));
}

/** Removes a key. */
export function remove(key) {
  call(() => session.delete(key));
}

/** Writes what `change` makes of the value, again if another execution came between, and returns it. */
export function update(key, initial, change) {
  for (let attempt = 1; ; attempt++) {
    const { value = structured(initial), version } = read(key);
    const next = change(value) ?? value;
    try {
      set(key, next, { expect: version });
      return next;
    } catch (error) {
      const lost = error instanceof HostError && error.code === "conflict";
      if (!lost || attempt === UPDATE_ATTEMPTS) throw error;
    }
  }
}

/** A copy, so that a change that is tried twice does not begin with its own traces. */
function structured(value) {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
