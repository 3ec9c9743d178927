//! What administrators see of all orders, as live queries.

use downlink::live::{Live, LiveError, Params, Rows, Scope};
use downlink::memory::{Folded, StateQuery};
use downlink::{Hub, Result};
use serde::Serialize;

use crate::order::{Item, Status};
use crate::order_list::{OrderList, order_projection};
use crate::roles::Roles;
use crate::user::User;

/// Starts the live queries over the list of orders.
// ANCHOR: start
pub(crate) fn start(hub: &Hub, list: &Folded<OrderList>, roles: &Roles) -> Result<Live> {
    let orders = order_projection();
    let query = |name, key, rows| {
        StateQuery::new(name, key, &orders, rows).with_scope(for_administrators(roles.clone()))
    };
    Live::builder(hub, list.models().clone())
        .with_query(query("items", "item", items))
        .with_query(query("open-orders", "id", open_orders))
        .with_model(list.handle())
        .start()
}

/// Refuses others than administrators, who all see the same.
fn for_administrators(
    roles: Roles,
) -> impl Fn(Option<&User>, &Params) -> Result<Scope, LiveError> + Send + Sync {
    move |user, _| match user {
        Some(user) if roles.is_administrator(user) => Ok(Scope::everything()),
        _ => Err(LiveError::Forbidden("only administrators see the dashboard".to_owned())),
    }
}
// ANCHOR_END: start

/// The open orders, the oldest first.
fn open_orders(list: &OrderList, _: &Scope, _: &Params) -> Result<Rows> {
    let mut open: Vec<_> = list.values().filter(|order| order.status == Status::Open).collect();
    open.sort_by_key(|order| order.number);
    Rows::collect(open)
}

/// An item of the menu, and how many of it were ordered.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ItemRow {
    item: Item,
    open: u32,
    delivered: u32,
    cancelled: u32,
    /// The price of those that were delivered.
    cents: u32,
}

fn items(list: &OrderList, _: &Scope, _: &Params) -> Result<Rows> {
    Rows::collect(Item::MENU.map(|item| {
        let orders = || list.values().filter(|order| order.cart.item == item);
        let count = |status| {
            let of_status = orders().filter(|order| order.status == status);
            of_status.map(|order| order.cart.quantity).sum()
        };
        let delivered = orders().filter(|order| order.status == Status::Delivered);
        ItemRow {
            item,
            open: count(Status::Open),
            delivered: count(Status::Delivered),
            cancelled: count(Status::Cancelled),
            cents: delivered.map(|order| order.cents).sum(),
        }
    }))
}
