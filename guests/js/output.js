// What a flow answers, and output before the reply.

import output from "flowgate:flow/output@0.1.0";

import { Failure, ask } from "./failure.js";
import { bytes } from "./utf8.js";

/** Replies. A flow may also return a string (a text), nothing, or any other value (data). */
export const reply = {
  text: (text) => new Reply(text, undefined, null),
  json: (data, { text = null } = {}) => new Reply(text, data, null),
  raw: ({ status = 200, headers = {}, body = "" } = {}) => new Reply(null, undefined, { status, headers, body }),
};

class Reply {
  constructor(text, data, raw) {
    Object.assign(this, { text, data, raw });
  }
}

/** Says a text, or `{ text, data }`, now. */
export function say(what) {
  const { text = null, data } = typeof what === "string" ? { text: what } : what;
  ask("output", () => output.say(text, json(data)));
}

/** Tells how far the work has come; `percent` is 0 to 100. */
export function progress(message, percent = null) {
  ask("output", () => output.progress(percent, message));
}

/** The reply as the host takes it. */
export function lower(value) {
  if (value === undefined || value === null) return { text: null, data: null, raw: null };
  if (typeof value === "string") return { text: value, data: null, raw: null };
  if (!(value instanceof Reply)) return { text: null, data: json(value), raw: null };
  const { text, data, raw } = value;
  return { text, data: json(data), raw: raw && http(raw) };
}

function http({ status, headers, body }) {
  return { status, headers: fields(headers), body: octets(body) };
}

/** Header fields from an object, a list of pairs, or a Map. */
export function fields(headers) {
  const pairs = typeof headers[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers);
  return pairs.map(([name, value]) => ({ name: name.toLowerCase(), value: bytes(String(value)) }));
}

/** A body from a string or bytes. */
export function octets(body) {
  if (typeof body === "string") return bytes(body);
  if (body instanceof Uint8Array) return body;
  throw new TypeError("a body is a string or a Uint8Array");
}

/** A JSON text; null for undefined. */
export function json(value) {
  if (value === undefined) return null;
  const text = JSON.stringify(value);
  if (text === undefined) throw Failure.failed(`a ${typeof value} is no JSON`);
  return text;
}
