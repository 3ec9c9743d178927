//! What administrators see of all orders, as live queries.

use async_trait::async_trait;
use downlink::live::{Live, LiveError, LiveQuery, Model, Params, Rows, Scope};
use downlink::memory::MemoryProjections;
use downlink::{BoxError, Filter, Hub, Projection, ProjectionHandle, Result};
use serde::Serialize;

use crate::order::{Item, Status};
use crate::order_list::{OrderList, OrderProjection};
use crate::roles::Roles;
use crate::user::User;

/// Starts the live queries over the list of orders.
// ANCHOR: start
pub(crate) fn start(
    hub: &Hub,
    lists: &MemoryProjections<OrderList>,
    list: &ProjectionHandle,
    roles: &Roles,
) -> Result<Live> {
    let query = |name, key, rows| Dashboard { name, key, rows, roles: roles.clone() };
    Live::builder(hub, lists.clone())
        .with_query(query("items", "item", items))
        .with_query(query("open-orders", "id", open_orders))
        .with_model(list)
        .start()
}
// ANCHOR_END: start

/// A live query for administrators.
#[derive(Debug)]
struct Dashboard {
    name: &'static str,
    key: &'static str,
    rows: fn(&OrderList) -> Result<Rows>,
    roles: Roles,
}

// ANCHOR: query
#[async_trait]
impl LiveQuery for Dashboard {
    type Tx = OrderList;
    type Principal = User;

    fn name(&self) -> &str {
        self.name
    }

    fn projection(&self) -> &'static str {
        "orders"
    }

    fn key(&self) -> &str {
        self.key
    }

    fn scope(&self, user: Option<&User>, _: &Params) -> Result<Scope, LiveError> {
        if user.is_some_and(|user| self.roles.is_administrator(user)) {
            return Ok(Scope::everything());
        }
        Err(LiveError::Forbidden("only administrators see the dashboard".to_owned()))
    }

    async fn eval(
        &self,
        list: &mut Model<'_, OrderList>,
        _: &Scope,
        _: &Params,
    ) -> Result<Rows, BoxError> {
        Ok((self.rows)(list)?)
    }

    fn affected_by(&self, _: &Scope, _: &Params) -> Result<Filter> {
        Ok(OrderProjection.filter())
    }
}
// ANCHOR_END: query

/// The open orders, the oldest first.
fn open_orders(list: &OrderList) -> Result<Rows> {
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

fn items(list: &OrderList) -> Result<Rows> {
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
