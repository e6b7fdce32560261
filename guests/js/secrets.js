// Secrets that a flow can use and does not see.

import secrets from "flowgate:flow/secrets@0.1.0";

import { ask } from "./failure.js";

/** Whether the flow has a secret of this name. */
export function exists(name) {
  return ask("secrets", () => secrets.exists(name));
}

/** What stands for the secret in the headers of an outgoing request. */
export function placeholder(name) {
  return ask("secrets", () => secrets.placeholder(name));
}
