// Generated from Rust types by a test: change those, and run `GENERATE=1 cargo test types`.

/**
 * What a customer wants, and where.
 */
export type Cart = {
/**
 * What.
 */
item: Item,
/**
 * How many: 1 to 9.
 */
quantity: number,
/**
 * Where to.
 */
gate: string, };

/**
 * An item of the menu.
 */
export type Item = "Coffee" | "Sandwich" | "Salad";

/**
 * An item of the menu, and how many of it were ordered.
 */
export type ItemRow = { item: Item, open: number, delivered: number, cancelled: number,
/**
 * The price of those that were delivered.
 */
cents: number, };

/**
 * What happened to an order. Its stream is `order-` and a UUID.
 */
export type OrderEvent = { "OrderPlaced": {
/**
 * Who pays.
 */
customer: User,
/**
 * What, and where to.
 */
cart: Cart,
/**
 * What it costs.
 */
cents: number, } } | "OrderDelivered" | "OrderCancelled";

/**
 * An order as pages show it.
 */
export type OrderRow = {
/**
 * Its UUID.
 */
id: string,
/**
 * Its number: the later, the higher.
 */
number: number,
/**
 * Who ordered it.
 */
customer: User,
/**
 * What, and where to.
 */
cart: Cart,
/**
 * The price.
 */
cents: number,
/**
 * How far it has got.
 */
status: Status, };

/**
 * How far an order has got.
 */
export type Status = "Open" | "Delivered" | "Cancelled";

/**
 * The name of a user, such as `ada`: lower-case letters and digits.
 */
export type User = string;
