// Language models, brokered by the host.
//
// A message is `{ role, content }` with a text or a list of parts as content: `{ text }`, `{ image: { mediaType, data } }`,
// `{ toolCall: { id, name, arguments } }` and `{ toolResult: { id, content, isError } }`; `arguments` is a JSON text.

import llm from "flowgate:flow/llm@0.1.0";

import { ask } from "./failure.js";
import { json } from "./output.js";

/** Asks the model and returns its whole reply: `{ text, toolCalls, message, finish, usage, model }`. */
export function chat(request) {
  return lift(ask("llm", () => llm.chat(lower(request))));
}

/** Asks the model and yields `{ text }`, `{ toolCall }` and at last `{ done: reply }` as they come. */
export function* stream(request) {
  const stream = ask("llm", () => llm.open(lower(request)));
  try {
    for (let chunk; (chunk = ask("llm", () => stream.next())) !== null; ) {
      if (chunk.tag === "text") yield { text: chunk.val };
      else if (chunk.tag === "tool-call") yield { toolCall: chunk.val };
      else yield { done: lift(chunk.val) };
    }
  } finally {
    stream[Symbol.dispose]?.();
  }
}

/** The vectors of some texts: `{ vectors, usage }`. */
export function embed(model, inputs) {
  return ask("llm", () => llm.embed(model, inputs));
}

/** The aliases that the flow was granted. */
export function models() {
  return ask("llm", () => llm.models());
}

function lower({ model, messages, tools = [], toolChoice = "auto", format = "text", ...rest }) {
  return {
    model,
    messages: messages.map(({ role, content }) => ({ role, parts: parts(content) })),
    tools: tools.map(({ name, description, parameters }) => ({ name, description, parameters: json(parameters) })),
    toolChoice: typeof toolChoice === "string" ? { tag: toolChoice } : { tag: "named", val: toolChoice.name },
    format: typeof format === "string" ? { tag: format } : schemaFormat(format),
    maxTokens: rest.maxTokens ?? null,
    temperature: rest.temperature ?? null,
    stop: rest.stop ?? [],
    seed: rest.seed ?? null,
    extra: json(rest.extra),
    forward: rest.forward ?? false,
  };
}

function schemaFormat({ name, schema }) {
  return { tag: "json-schema", val: { name, schema: json(schema) } };
}

function parts(content) {
  return typeof content === "string" ? [{ tag: "text", val: content }] : content.map(part);
}

function part(part) {
  if (typeof part === "string") return { tag: "text", val: part };
  if (part.toolCall) return { tag: "tool-call", val: part.toolCall };
  if (part.toolResult) return { tag: "tool-result", val: { isError: false, ...part.toolResult } };
  return part.image ? { tag: "image", val: part.image } : { tag: "text", val: part.text };
}

function lift({ model, message, finish, usage }) {
  const content = message.parts.map(({ tag, val }) => ({ [NAMES[tag]]: val }));
  return {
    model,
    text: content.map((part) => part.text ?? "").join(""),
    toolCalls: content.flatMap((part) => part.toolCall ?? []),
    message: { role: message.role, content },
    finish,
    usage,
  };
}

const NAMES = { text: "text", image: "image", "tool-call": "toolCall", "tool-result": "toolResult" };
