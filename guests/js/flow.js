// The export that makes a component a flow.

import { Failure, toFailure } from "./failure.js";
import * as log from "./log.js";
import { lower } from "./output.js";
import { Trigger } from "./trigger.js";

/** Makes a flow of a function from a trigger to a reply. The module exports it as default. */
export function flow(handle) {
  if (typeof handle !== "function") throw new TypeError("flow() takes a function");
  return {
    handle(wire) {
      try {
        // In a component promises are those of promise.js, which can be waited for; elsewhere the caller waits.
        const result = handle(new Trigger(wire));
        if (typeof result?.then !== "function") return lower(result);
        return typeof Promise.wait === "function"
          ? lower(Promise.wait(result))
          : result.then(lower).catch((error) => Promise.reject(end(error)));
      } catch (error) {
        throw end(error);
      }
    },
  };
}

/** What the host gets of an error. The stack of one that nobody foresaw is in the log. */
function end(error) {
  if (error instanceof Error && !(error instanceof Failure)) log.error(`${error}\n${error.stack}`);
  return toFailure(error).wire;
}
