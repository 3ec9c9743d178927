/** One file for pages without a build. */

export * from "./index.js";
export * from "./live.js";
