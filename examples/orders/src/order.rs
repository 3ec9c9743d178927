//! What can happen to an order, and the rules.

use std::fmt;

use downlink::{Decider, Result, Tag};
use downlink_transports::command::CommandRefusal;
use serde::{Deserialize, Serialize};

use crate::user::User;

/// An item of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Item {
    /// A cup of coffee.
    Coffee,
    /// A cheese sandwich.
    Sandwich,
    /// A bowl of salad.
    Salad,
}

impl Item {
    /// The whole menu.
    pub const MENU: [Self; 3] = [Self::Coffee, Self::Sandwich, Self::Salad];

    fn cents(self) -> u32 {
        match self {
            Self::Coffee => 350,
            Self::Sandwich => 720,
            Self::Salad => 940,
        }
    }
}

/// What happened to an order. Its stream is `order-` and a UUID.
// ANCHOR: events
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum OrderEvent {
    /// A customer has ordered something to a gate.
    OrderPlaced {
        /// Who pays.
        customer: User,
        /// What, and where to.
        cart: Cart,
        /// What it costs.
        cents: u32,
    },
    /// It is with the customer.
    OrderDelivered,
    /// The customer has cancelled it.
    OrderCancelled,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum OrderCommand {
    /// Order something.
    Place(User, Cart),
    /// Cancel an order; only its customer can.
    Cancel(User),
    /// Deliver it. Who may say so is a matter of roles, not of the order.
    Deliver,
}
// ANCHOR_END: events

/// What a customer wants, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Cart {
    /// What.
    pub item: Item,
    /// How many: 1 to 9.
    pub quantity: u32,
    /// Where to.
    pub gate: String,
}

/// Why a command is refused.
// ANCHOR: refused
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such order, or it is another user's.
    NoSuchOrder,
    /// The order exists.
    AlreadyPlaced,
    /// Not 1 to 9.
    QuantityOutOfRange,
    /// Not the name of a gate.
    NoSuchGate,
    /// It was delivered.
    Delivered,
    /// It was cancelled.
    Cancelled,
}

impl Refused {
    /// The code for programs, and the text for people.
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::NoSuchOrder => ("no-such-order", "you have no such order: load them again"),
            Self::AlreadyPlaced => ("already-placed", "this order was placed before"),
            Self::QuantityOutOfRange => ("quantity-out-of-range", "order 1 to 9 of an item"),
            Self::NoSuchGate => ("no-such-gate", "a gate is a letter and a number, such as C71"),
            Self::Delivered => ("delivered", "it has been delivered already"),
            Self::Cancelled => ("cancelled", "it was cancelled"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.texts().1)
    }
}

impl CommandRefusal for Refused {
    const NAMESPACE: &'static str = "urn:orders:problem:";

    fn code(&self) -> &'static str {
        self.texts().0
    }
}
// ANCHOR_END: refused

/// The state of an order; of [`Orders`], there is none before it is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    customer: User,
    status: Status,
}

/// How far an order has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Status {
    /// It waits to be delivered.
    Open,
    /// It was delivered.
    Delivered,
    /// It was cancelled.
    Cancelled,
}

/// The decider of orders.
#[derive(Clone, Copy, Debug)]
pub struct Orders;

// ANCHOR: decider
impl Decider for Orders {
    type State = Option<Order>;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Error = Refused;

    fn initial(&self) -> Option<Order> {
        None
    }

    fn decide(
        &self,
        order: &Option<Order>,
        command: &OrderCommand,
    ) -> Result<Vec<OrderEvent>, Refused> {
        match (order, command) {
            (None, OrderCommand::Place(customer, cart)) => {
                let cents = cart.check()?.item.cents() * cart.quantity;
                let (customer, cart) = (customer.clone(), cart.clone());
                Ok(vec![OrderEvent::OrderPlaced { customer, cart, cents }])
            }
            (Some(_), OrderCommand::Place(..)) => Err(Refused::AlreadyPlaced),
            (Some(order), OrderCommand::Cancel(user)) if order.customer == *user => {
                order.end_as(Status::Cancelled, OrderEvent::OrderCancelled)
            }
            (Some(order), OrderCommand::Deliver) => {
                order.end_as(Status::Delivered, OrderEvent::OrderDelivered)
            }
            _ => Err(Refused::NoSuchOrder),
        }
    }

    fn evolve(&self, order: Option<Order>, event: &OrderEvent) -> Option<Order> {
        let with = |status| order.map(|order| Order { status, ..order });
        match event {
            OrderEvent::OrderPlaced { customer, .. } => {
                Some(Order { customer: customer.clone(), status: Status::Open })
            }
            OrderEvent::OrderDelivered => with(Status::Delivered),
            OrderEvent::OrderCancelled => with(Status::Cancelled),
        }
    }

    fn tags(&self, order: &Option<Order>, _: &OrderEvent) -> Result<Vec<Tag>> {
        Ok(order.iter().map(|order| order.customer.tag()).collect())
    }
}
// ANCHOR_END: decider

impl Cart {
    fn check(&self) -> Result<&Self, Refused> {
        let (letter, number) = self.gate.split_at_checked(1).unwrap_or_default();
        let is_gate = letter.bytes().all(|byte| byte.is_ascii_uppercase())
            && (1..=3).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit());
        match self.quantity {
            1..=9 if is_gate => Ok(self),
            1..=9 => Err(Refused::NoSuchGate),
            _ => Err(Refused::QuantityOutOfRange),
        }
    }
}

impl Order {
    fn end_as(&self, wanted: Status, event: OrderEvent) -> Result<Vec<OrderEvent>, Refused> {
        match self.status {
            Status::Open => Ok(vec![event]),
            status if status == wanted => Ok(vec![]),
            Status::Delivered => Err(Refused::Delivered),
            Status::Cancelled => Err(Refused::Cancelled),
        }
    }
}
