// Runs flows on your own machine, against a small host in memory: `node --import flowgate/testing --test`.

import { register } from "node:module";

import { append, memory, reset } from "./testing/host.js";
import { bytes, text } from "./utf8.js";

register("./testing/hooks.js", import.meta.url);

export { memory, reset };

/** A trigger with these members, and with what an empty request has for the others. `data` is any JSON value. */
export function trigger({ message = null, userId = null, sessionId = null, data = {}, metadata = {}, headers = {}, body } = {}) {
  return {
    executionId: "exe_test",
    flow: "test",
    version: `sha256:${"0".repeat(64)}`,
    hook: "hok_test",
    dialect: "native",
    attempt: 1,
    receivedAtMs: 1735689600000,
    deadlineMs: 1735689630000,
    message,
    userId,
    sessionId,
    data: JSON.stringify(data),
    metadata: JSON.stringify(metadata),
    request: {
      method: "POST",
      path: "/hooks/test",
      query: "",
      headers: Object.entries(headers).map(([name, value]) => ({ name: name.toLowerCase(), value: bytes(value) })),
      body: bytes(body ?? JSON.stringify({ message, data })),
      peer: "127.0.0.1",
    },
  };
}

/** The trigger that a body makes on a native hook; `json` is its text. */
export function request(json) {
  const { message, user_id: userId, session_id: sessionId, data, metadata } = JSON.parse(json);
  return trigger({ message, userId, sessionId, data, metadata, body: json });
}

/**
 * Runs a flow as the host does: in the trigger's session, whose messages are kept when it succeeds. Resolves to
 * `{ text, data, raw }`, with the data parsed and the raw body as text; rejects with an error whose `failure` is what the
 * host would get.
 */
export async function run(flow, what = trigger()) {
  const wire = typeof what === "string" ? request(what) : "executionId" in what ? what : trigger(what);
  Object.assign(memory, { session: wire.sessionId, nowMs: wire.receivedAtMs });
  let reply;
  try {
    reply = await flow.handle(wire);
  } catch (failure) {
    if (failure instanceof Error) throw failure;
    const message = typeof failure.val === "string" ? failure.val : failure.val.message;
    throw Object.assign(new Error(message), { failure });
  }
  if (wire.sessionId !== null) {
    if (wire.message !== null) append("user", wire.message);
    if (reply.text !== null) append("assistant", reply.text);
  }
  const data = reply.data === null ? null : JSON.parse(reply.data);
  return { text: reply.text, data, raw: reply.raw && { ...reply.raw, body: text(reply.raw.body) } };
}

/** Outputs of one kind, such as `said`, `progress`, `emitted`, `logged`, `span`, since the last `reset`. */
export function outputs(kind) {
  return memory.outputs.flatMap((output) => output[kind] ?? []);
}
