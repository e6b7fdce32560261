// Events of the flow's own making.

import events from "flowgate:flow/events@0.1.0";

import { ask } from "./failure.js";
import { json } from "./output.js";

/** Tells subscribers of `custom.<name>` when the execution has ended. */
export function emit(name, data = {}) {
  ask("events", () => events.emit(name, json(data)));
}
