// Puts the promises that can be waited for in the place of the engine's. Only the build imports this.

import { Promise, enqueue } from "./promise.js";

globalThis.Promise = Promise;
globalThis.queueMicrotask = enqueue;
