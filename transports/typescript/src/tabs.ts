import type { Follow } from "./feed.js";
import type { Net } from "./net.js";
import { Group, groups } from "./tab-group.js";
import { Member } from "./tab-member.js";

/**
 * Shares one connection between the tabs of a user: one tab holds a Web Lock and the connection, and the others get
 * what it receives by `BroadcastChannel`. A tab that has missed something reads it from the server. Where there are
 * no locks, as without a secure context, each tab has its own connection.
 */
export function shared(net: Net, identity: string, alone: Follow): Follow {
  const { locks } = globalThis.navigator ?? {};
  if (!locks || typeof BroadcastChannel === "undefined") return alone;
  // The number is that of the messages: a tab may have an older version of the page.
  const name = `downlink:2:${new URL(`${net.base}/`, globalThis.location?.href)}:${identity}`;
  return (source, tell, signal) => {
    let group = groups.get(name);
    if (!group) groups.set(name, (group = new Group(name, alone)));
    group.add(new Member(group, net, source, tell, signal));
  };
}
