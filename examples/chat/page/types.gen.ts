// Generated from Rust types by a test: change those, and run `GENERATE=1 cargo test types`.

/**
 * The events of a room. The variants' names are the event types.
 */
export type ChatEvent = { "RoomOpened": {
/**
 * The room's name.
 */
name: Name, } } | { "PersonJoined": {
/**
 * The person.
 */
person: PersonId,
/**
 * The person's name.
 */
name: Name, } } | { "PersonLeft": {
/**
 * The person.
 */
person: PersonId,
/**
 * The person's name.
 */
name: Name, } } | { "MessagePosted": {
/**
 * The person.
 */
person: PersonId,
/**
 * The person's name.
 */
name: Name,
/**
 * The message.
 */
text: string, } };

/**
 * A heartbeat: a person is in a room.
 */
export type Here = {
/**
 * The person.
 */
person: PersonId,
/**
 * The person's name.
 */
name: Name,
/**
 * The room.
 */
room: RoomId, };

/**
 * The name of a person or a room: one line of 1 to 40 characters.
 */
export type Name = string;

/**
 * A person who has the page open: a UUID that the page generates.
 */
export type PersonId = string;

/**
 * The stream of a room, such as `room-gate-c71`.
 */
export type RoomId = string;
