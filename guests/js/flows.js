// Calls of other flows.

import flows from "flowgate:flow/flows@0.1.0";

import { ask } from "./failure.js";
import { json } from "./output.js";
import { text } from "./utf8.js";

/** Runs another flow, waits, and returns `{ text, data, raw }`. */
export function call(flow, what = {}) {
  const { text: said, data, raw } = ask("flows", () => flows.call(invocation(flow, what)));
  return { text: said, data: data === null ? null : JSON.parse(data), raw: raw && response(raw) };
}

/** Starts an execution that runs on its own, and returns its id. */
export function start(flow, what = {}) {
  return ask("flows", () => flows.start(invocation(flow, what)));
}

function invocation(flow, { message = null, data = {}, sessionId = null }) {
  return { flow, message, data: json(data), sessionId };
}

function response({ status, headers, body }) {
  return { status, headers: headers.map(({ name, value }) => [name, text(value)]), body };
}
