// What the page imports as `./downlink.js` is the package's bundle.
export * from "../../../transports/typescript/src/bundle.js";
