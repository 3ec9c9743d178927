use std::collections::BTreeMap;

use downlink::Filter;
use downlink::memory::Fold;
use serde::Serialize;

use crate::order::{Cart, OrderEvent, Status};
use crate::user::User;

/// The read model of all orders, by id.
pub type OrderList = BTreeMap<String, OrderRow>;

/// An order as pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OrderRow {
    /// Its UUID.
    pub id: String,
    /// Its number: the later, the higher.
    pub number: u64,
    /// Who ordered it.
    pub customer: User,
    /// What, and where to.
    pub cart: Cart,
    /// The price.
    pub cents: u32,
    /// How far it has got.
    pub status: Status,
}

/// Builds the [`OrderList`].
// ANCHOR: projection
#[must_use]
pub fn order_projection() -> Fold<OrderList> {
    let filter = Filter::types(["OrderPlaced", "OrderDelivered", "OrderCancelled"]);
    Fold::new("orders", filter, |orders, event| {
        let id = event.stream().as_str().trim_start_matches("order-");
        match event.decode_raw()? {
            OrderEvent::OrderPlaced { customer, cart, cents } => {
                let (id, number) = (id.to_owned(), event.position().get());
                let status = Status::Open;
                let row = OrderRow { id: id.clone(), number, customer, cart, cents, status };
                orders.insert(id, row);
            }
            OrderEvent::OrderDelivered => set(orders, id, Status::Delivered),
            OrderEvent::OrderCancelled => set(orders, id, Status::Cancelled),
        }
        Ok(())
    })
}
// ANCHOR_END: projection

fn set(orders: &mut OrderList, id: &str, status: Status) {
    if let Some(row) = orders.get_mut(id) {
        row.status = status;
    }
}
