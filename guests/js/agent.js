// The loop that lets a model call tools until it has an answer.

import { Failure, HostError } from "./failure.js";
import * as llm from "./llm.js";
import { invoke } from "./tool.js";

/**
 * Makes an agent. `run` asks the model, calls the tools that it wants, gives it their results, and returns
 * `{ text, reply, messages, steps, usage }` when it wants none any more. More than `maxSteps` calls of the model are a
 * failure. What is wrong with a tool's arguments, and what a tool throws, is told to the model; a Failure ends the run.
 */
export function agent({ system, tools = [], maxSteps = 8, ...request }) {
  const known = new Map(tools.map((tool) => [tool.name, tool]));
  return {
    async run(input, { history = [] } = {}) {
      const messages = [...(system ? [{ role: "system", content: system }] : []), ...history];
      messages.push(...(typeof input === "string" ? [{ role: "user", content: input }] : [input].flat()));
      const usage = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, costMicroUsd: null };
      for (let steps = 1; steps <= maxSteps; steps++) {
        const reply = llm.chat({ ...request, messages, tools });
        add(usage, reply.usage);
        messages.push(reply.message);
        if (reply.toolCalls.length === 0) return { text: reply.text, reply, messages, steps, usage };
        const content = [];
        for (const call of reply.toolCalls) content.push({ toolResult: await answer(known.get(call.name), call) });
        messages.push({ role: "tool", content });
      }
      throw Failure.failed(`the agent has no answer after ${maxSteps} steps`);
    },
  };
}

async function answer(tool, { id, name, arguments: json }) {
  if (!tool) return { id, content: `there is no tool ${name}`, isError: true };
  try {
    const result = await invoke(tool, json);
    return { id, content: typeof result === "string" ? result : JSON.stringify(result ?? null), isError: false };
  } catch (error) {
    const ends = error instanceof Failure ? error.wire.tag !== "invalid-input" : error instanceof HostError;
    if (ends) throw error;
    return { id, content: error instanceof Error ? error.message : String(error), isError: true };
  }
}

function add(sum, usage) {
  for (const name of ["inputTokens", "outputTokens", "cachedTokens"]) sum[name] += usage[name];
  if (usage.costMicroUsd !== null) sum.costMicroUsd = (sum.costMicroUsd ?? 0) + usage.costMicroUsd;
}
