/** What is needed only where a WebSocket does not work, and loaded there. */

export { longPoll as "long-poll" } from "./long-poll.js";
export { sse } from "./sse.js";
export { upgrade } from "./upgrade.js";
