// The host in memory: what the interfaces answer, and what is remembered of their calls.

import { randomBytes } from "node:crypto";

import { bytes, text } from "../utf8.js";

/** All that a test can look at and set. */
export const memory = {};

export function reset() {
  Object.assign(memory, {
    outputs: [],
    config: {},
    secrets: {},
    sessions: new Map(),
    session: "",
    nowMs: 0,
    kept: new Map(),
    http: null,
    flows: {},
    requests: [],
    script: [],
  });
}

reset();

/** Each by its name in the contract. */
export const host = {
  output: {
    say: (text, data) => void memory.outputs.push({ said: { text, data: parsed(data) } }),
    progress: (percent, message) => void memory.outputs.push({ progress: { percent, message } }),
  },
  events: { emit: (name, data) => void memory.outputs.push({ emitted: { name, data: parsed(data) } }) },
  "logging/logging": { log: (level, _, message) => void memory.outputs.push({ logged: { level, message } }) },
  "config/store": { get: (key) => memory.config[key] ?? null, getAll: () => Object.entries(memory.config) },
  "random/random": { getRandomBytes: (length) => new Uint8Array(randomBytes(Number(length))) },
  session: {
    messages(limit, before) {
      const older = current().messages.filter(({ seq }) => before === null || seq < before);
      return older.slice(Math.max(0, older.length - Math.min(limit, 1000)));
    },
    append: (role, text, data) => append(role, text, data),
    get: (key) => current().state.get(key) ?? null,
    set(key, value, expect) {
      const { state } = current();
      const now = state.get(key)?.version ?? 0;
      if (expect !== null && expect !== now) throw thrown({ tag: "conflict", val: now });
      state.set(key, { value: Uint8Array.from(value), version: now + 1 });
      return now + 1;
    },
    delete: (key) => void current().state.delete(key),
  },
  "keyvalue/store": { open: (name) => bucket(name) },
  "keyvalue/atomics": {
    increment(bucket, key, by) {
      const sum = Number(text(bucket.get(key) ?? bytes("0"))) + by;
      bucket.set(key, bytes(String(sum)));
      return sum;
    },
    Cas: { new: (bucket, key) => ({ bucket, key, seen: bucket.get(key), current: () => bucket.get(key) }) },
    swap({ bucket, key, seen }, value) {
      if (bucket.get(key) !== seen) throw thrown({ tag: "cas-failed", val: null });
      bucket.set(key, value);
    },
  },
  secrets: {
    exists: (name) => name in memory.secrets,
    placeholder: (name) => `{{secret:${known(name) && name}}}`,
  },
  "secrets-reveal": { reveal: (name) => known(name) },
  http: {
    fetch(request) {
      memory.requests.push(request);
      if (memory.http === null) throw thrown({ tag: "not-granted", val: request.url });
      const { status = 200, headers = {}, body = "" } = memory.http(request);
      const fields = Object.entries(headers).map(([name, value]) => ({ name: name.toLowerCase(), value: bytes(value) }));
      return { status, headers: fields, body: typeof body === "string" ? bytes(body) : body };
    },
  },
  llm: {
    chat: (request) => answer(request),
    open(request) {
      const reply = answer(request);
      const chunks = [...reply.message.parts, { tag: "done", val: reply }];
      return { next: () => chunks.shift() ?? null };
    },
    embed: (_, inputs) => ({ vectors: inputs.map((input) => Float32Array.of(input.length)), usage: usage() }),
    models: () => ["test"],
  },
  flows: {
    call(invocation) {
      const flow = memory.flows[invocation.flow];
      if (!flow) throw thrown({ tag: "unknown", val: invocation.flow });
      return { text: null, data: null, raw: null, ...flow(invocation) };
    },
    start: (invocation) => (memory.outputs.push({ started: invocation }), "exe_started"),
  },
  spans: {
    Span: class {
      constructor(name) {
        this.record = { name, set: {}, error: null };
        memory.outputs.push({ span: this.record });
      }
      set(key, value) {
        this.record.set[key] = value;
      }
      end(error) {
        this.record.error = error;
      }
    },
  },
};

export function append(role, text, data = null) {
  const { messages } = current();
  messages.push({ seq: messages.length + 1, atMs: memory.nowMs, role, text, data });
  return messages.length;
}

function bucket(name) {
  if (!memory.kept.has(name)) memory.kept.set(name, new Map());
  const kept = memory.kept.get(name);
  return {
    get: (key) => kept.get(key) ?? null,
    set: (key, value) => void kept.set(key, Uint8Array.from(value)),
    delete: (key) => void kept.delete(key),
    exists: (key) => kept.has(key),
    listKeys: () => ({ keys: [...kept.keys()], cursor: null }),
  };
}

function current() {
  if (memory.session === null) throw thrown({ tag: "no-session" });
  if (!memory.sessions.has(memory.session)) memory.sessions.set(memory.session, { messages: [], state: new Map() });
  return memory.sessions.get(memory.session);
}

function known(name) {
  if (!(name in memory.secrets)) throw thrown({ tag: "unknown", val: name });
  return memory.secrets[name];
}

function answer(request) {
  memory.requests.push(request);
  const next = memory.script.shift();
  if (next === undefined) throw thrown({ tag: "provider", val: "the script has ended" });
  const { text, toolCalls = [], error } = typeof next === "string" ? { text: next } : next;
  if (error) throw thrown(error);
  const parts = text === undefined ? [] : [{ tag: "text", val: text }];
  parts.push(...toolCalls.map(({ id, name, arguments: json }, at) => ({
    tag: "tool-call",
    val: { id: id ?? `call_${at + 1}`, name, arguments: typeof json === "string" ? json : JSON.stringify(json ?? {}) },
  })));
  const finish = toolCalls.length > 0 ? "tool-calls" : "stop";
  return { model: "test", message: { role: "assistant", parts }, finish, usage: usage() };
}

function usage() {
  return { inputTokens: 1, outputTokens: 1, cachedTokens: 0, costMicroUsd: null };
}

/** As the engine throws the error cases of the host. */
function thrown(payload) {
  return Object.assign(new Error("[object Object] (see error.payload)"), { payload });
}

function parsed(json) {
  return json === null ? null : JSON.parse(json);
}
