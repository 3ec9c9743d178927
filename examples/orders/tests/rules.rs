//! The decider and the read models, tested without a log.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::collections::BTreeSet;

use downlink::testing::{self, DeciderTest};
use downlink::{Decider, Event, NewEvent, Position, Tag, Version, event::Timestamp};
use orders::{
    Cart, Item, OrderCommand, OrderEvent, OrderList, OrderRow, Orders, Refused, RoleEvent, Status,
    User, order_projection, role_projection,
};

fn user(name: &str) -> User {
    User::try_from(name.to_owned()).unwrap()
}

fn cart(quantity: u32, gate: &str) -> Cart {
    Cart { item: Item::Coffee, quantity, gate: gate.into() }
}

fn placed() -> OrderEvent {
    OrderEvent::OrderPlaced { customer: user("ada"), cart: cart(2, "C71"), cents: 700 }
}

fn open() -> DeciderTest<Orders> {
    testing::decider(Orders).given([placed()])
}

// ANCHOR: given_when_then
#[test]
fn an_order_is_placed_at_the_price_of_the_menu() {
    let place = OrderCommand::Place(user("ada"), cart(2, "C71"));
    testing::decider(Orders).when(place).then([placed()]);
}

#[test]
fn only_its_customer_cancels_an_order() {
    open().when(OrderCommand::Cancel(user("ada"))).then([OrderEvent::OrderCancelled]);
    open().when(OrderCommand::Cancel(user("bob"))).then_refused(&Refused::NoSuchOrder);
}
// ANCHOR_END: given_when_then

#[test]
fn an_order_ends_once() {
    let delivered = || open().given([OrderEvent::OrderDelivered]);
    delivered().when(OrderCommand::Deliver).then_nothing();
    delivered().when(OrderCommand::Cancel(user("ada"))).then_refused(&Refused::Delivered);
    let cancelled = || open().given([OrderEvent::OrderCancelled]);
    cancelled().when(OrderCommand::Cancel(user("ada"))).then_nothing();
    cancelled().when(OrderCommand::Deliver).then_refused(&Refused::Cancelled);
}

#[test]
fn an_order_has_to_exist_and_to_be_new() {
    let place = OrderCommand::Place(user("bob"), cart(1, "A1"));
    open().when(place).then_refused(&Refused::AlreadyPlaced);
    testing::decider(Orders).when(OrderCommand::Deliver).then_refused(&Refused::NoSuchOrder);
}

#[test]
fn quantities_and_gates_are_checked() {
    for (cart, refused) in [
        (cart(0, "C71"), Refused::QuantityOutOfRange),
        (cart(10, "C71"), Refused::QuantityOutOfRange),
        (cart(1, ""), Refused::NoSuchGate),
        (cart(1, "71"), Refused::NoSuchGate),
        (cart(1, "C"), Refused::NoSuchGate),
        (cart(1, "C1234"), Refused::NoSuchGate),
        (cart(1, "é1"), Refused::NoSuchGate),
    ] {
        let place = OrderCommand::Place(user("ada"), cart);
        testing::decider(Orders).when(place).then_refused(&refused);
    }
}

#[test]
fn every_event_has_its_customer_as_a_tag() {
    let order = Orders.evolve(None, &placed());
    for event in [placed(), OrderEvent::OrderCancelled, OrderEvent::OrderDelivered] {
        let order = Orders.evolve(order.clone(), &event);
        let tags = Orders.tags(&order, &event).unwrap();
        assert_eq!(tags, [Tag::new("customer:ada").unwrap()], "{event:?}");
    }
}

#[test]
fn an_order_is_visible_to_its_customer_only() {
    let event = NewEvent::from_variant(&placed()).unwrap();
    let event = event.with_tags([user("ada").tag()]).unwrap();
    let stream = "order-1".try_into().unwrap();
    let event = Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, event);
    let sees = |name| user(name).orders().matches_event(&event);
    assert!(sees("ada"));
    assert!(!sees("bob") && !sees("ad") && !sees("ada2"));
}

#[test]
fn the_list_has_every_order_with_its_status() {
    let row = |id: &str, number, status| {
        let row = OrderRow {
            id: id.into(),
            number,
            customer: user("ada"),
            cart: cart(2, "C71"),
            cents: 700,
            status,
        };
        (id.to_owned(), row)
    };
    let expected =
        [row("1", 1, Status::Delivered), row("2", 3, Status::Cancelled), row("3", 5, Status::Open)];
    testing::projection(order_projection())
        .given("order-1", [placed(), OrderEvent::OrderDelivered])
        .given("order-2", [placed(), OrderEvent::OrderCancelled])
        .given("order-3", [placed()])
        .number_of_times(3)
        .then(&OrderList::from(expected));
}

#[test]
fn administrators_are_those_who_still_have_the_role() {
    testing::projection(role_projection())
        .given("user-ada", [RoleEvent::RoleGranted])
        .given("user-bob", [RoleEvent::RoleGranted])
        .given("user-ada", [RoleEvent::RoleRevoked])
        .number_of_times(3)
        .then(&BTreeSet::from([user("bob")]));
}

#[test]
fn names_of_users_are_plain() {
    for bad in ["", "Ada", "a b", "ada:bob", "é", "abcdefghijklmnopqrstu"] {
        assert!(User::try_from(bad.to_owned()).is_err(), "{bad:?}");
    }
}
