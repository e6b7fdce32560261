// The loop that lets a model call tools until it has an answer.

import { Failure, HostError } from "./failure.js";
import * as llm from "./llm.js";
import * as session from "./session.js";
import { invoke } from "./tool.js";
import { Trigger } from "./trigger.js";

/**
 * Makes an agent. `run` asks the model, calls the tools that it wants, gives it their results, and returns
 * `{ text, reply, messages, steps, usage }` when it wants none any more; `messages` begin with the user's. In the last of
 * `maxSteps` steps the model can only answer. What is wrong with a tool's arguments, and what a tool throws, is told to the
 * model; a Failure that asks for a retry, and an error of the host, ends the run.
 *
 * Given a trigger, `run` answers its message with the last `history` messages of the session in mind.
 */
export function agent({ system, tools = [], maxSteps = 8, history = 50, ...request }) {
  const known = new Map(tools.map((tool) => [tool.name, tool]));
  return {
    async run(input) {
      const messages = system ? [{ role: "system", content: system }] : [];
      if (input instanceof Trigger && input.sessionId !== null && history > 0) {
        messages.push(...session.messages(history).map(({ role, text }) => ({ role, content: text })));
      }
      const begin = messages.length;
      messages.push(...said(input));
      const usage = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, costMicroUsd: null };
      for (let steps = 1; steps <= maxSteps; steps++) {
        const last = steps === maxSteps && tools.length > 0;
        const reply = llm.chat({ ...request, messages, tools, ...(last && { toolChoice: "none" }) });
        add(usage, reply.usage);
        messages.push(reply.message);
        if (reply.toolCalls.length === 0) {
          return { text: reply.text, reply, messages: messages.slice(begin), steps, usage };
        }
        const content = [];
        for (const call of reply.toolCalls) content.push({ toolResult: await answer(known.get(call.name), call) });
        messages.push({ role: "tool", content });
      }
      throw Failure.failed(`the agent had no answer after ${maxSteps} steps`);
    },
  };
}

function said(input) {
  if (input instanceof Trigger) return [{ role: "user", content: input.needMessage() }];
  return typeof input === "string" ? [{ role: "user", content: input }] : [input].flat();
}

async function answer(tool, { id, name, arguments: json }) {
  if (!tool) return { id, content: `there is no tool \`${name}\``, isError: true };
  try {
    const result = await invoke(tool, json);
    return { id, content: typeof result === "string" ? result : JSON.stringify(result ?? null), isError: false };
  } catch (error) {
    if (error instanceof HostError || (error instanceof Failure && error.wire.tag === "retry")) throw error;
    return { id, content: error instanceof Error ? error.message : String(error), isError: true };
  }
}

function add(sum, usage) {
  for (const name of ["inputTokens", "outputTokens", "cachedTokens"]) sum[name] += usage[name];
  if (usage.costMicroUsd !== null) sum.costMicroUsd = (sum.costMicroUsd ?? 0) + usage.costMicroUsd;
}
