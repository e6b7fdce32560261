// Write Flowgate flows in JavaScript. A component imports only what its bundle uses of this.

export { Failure, HostError } from "./failure.js";
export { flow } from "./flow.js";
export { reply, say, progress } from "./output.js";
export { s } from "./schema.js";
export { tool } from "./tool.js";
export { agent } from "./agent.js";
export { fetch } from "./http.js";
export { reveal } from "./reveal.js";
export { span } from "./spans.js";
export * as config from "./config.js";
export * as events from "./events.js";
export * as flows from "./flows.js";
export * as keyvalue from "./keyvalue.js";
export * as llm from "./llm.js";
export * as log from "./log.js";
export * as secrets from "./secrets.js";
export * as session from "./session.js";
