// Tools: functions that a model may call.

import { check, s } from "./schema.js";

/**
 * Makes a tool of a function. `parameters` is the JSON Schema of its one argument, an object; or an object of schemas,
 * one for each member.
 */
export function tool({ name, description, parameters = {}, run }) {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name ?? "")) throw new TypeError(`a tool's name is 1 to 64 of A-Z a-z 0-9 _ -, not ${name}`);
  if (typeof run !== "function") throw new TypeError(`the tool ${name} has no function run`);
  // An argument that there is none of is told to the model, which may have meant another.
  const schema = typeof parameters.type === "string" ? parameters : s.object(parameters).with({ additionalProperties: false });
  return { name, description: description ?? "", parameters: schema, run };
}

/** Calls the tool with the JSON text that a model gave; throws what does not fit. */
export function invoke(tool, json) {
  let value;
  try {
    value = JSON.parse(json === "" ? "{}" : json);
  } catch {
    throw new Error("the arguments are no JSON");
  }
  return tool.run(check(tool.parameters, value, "arguments"));
}
