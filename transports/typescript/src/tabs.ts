import type { Follow } from "./feed.js";
import type { Net } from "./net.js";

export const shared = (_net: Net, _share: string, alone: Follow): Follow => alone;
