// Secrets in clear, for what cannot be done by a placeholder, such as signing.

import secrets from "flowgate:flow/secrets-reveal@0.1.0";

import { ask } from "./failure.js";

/** The secret itself; needs a grant of its own for each. */
export function reveal(name) {
  return ask("secrets", () => secrets.reveal(name));
}
