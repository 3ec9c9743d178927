use serde::Serialize;

use crate::order::{Item, Status};
use crate::order_list::{OrderList, OrderRow};

/// What administrators see of all orders.
#[derive(Debug, Serialize)]
pub(crate) struct Dashboard<'a> {
    items: Vec<ItemRow>,
    /// The open orders, the oldest first.
    open: Vec<&'a OrderRow>,
}

/// The orders of an item of the menu.
#[derive(Debug, Serialize)]
pub(crate) struct ItemRow {
    item: Item,
    open: u32,
    delivered: u32,
    cancelled: u32,
    /// The price of those that were delivered.
    cents: u32,
}

pub(crate) fn of(list: &OrderList) -> Dashboard<'_> {
    let items = Item::MENU.map(|item| item_row(item, list)).into();
    let mut open: Vec<_> = list.values().filter(|order| order.status == Status::Open).collect();
    open.sort_by_key(|order| order.number);
    Dashboard { items, open }
}

fn item_row(item: Item, list: &OrderList) -> ItemRow {
    let mut row = ItemRow { item, open: 0, delivered: 0, cancelled: 0, cents: 0 };
    for order in list.values().filter(|order| order.cart.item == item) {
        match order.status {
            Status::Open => row.open += order.cart.quantity,
            Status::Delivered => {
                row.delivered += order.cart.quantity;
                row.cents += order.cents;
            }
            Status::Cancelled => row.cancelled += order.cart.quantity,
        }
    }
    row
}
