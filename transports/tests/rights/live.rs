//! Live queries under rights that change.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use downlink::live::{LiveError, LiveQuery, Model, Params, Rows, Scope};
use downlink::memory::MemoryProjections;
use downlink::{BoxError, Cursor, ErrorKind, Event, Filter, FilterItem, Projection};
use downlink_transports::client::{FollowLive, TokenReason, TransportKind};
use serde::{Deserialize, Serialize};

use crate::company::{Process, TRANSPORTS, User};
use crate::logins::jwt;
use crate::support::soon;

/// The user of each order, by the position of its event.
type Orders = BTreeMap<u64, String>;

#[derive(Debug)]
pub(crate) struct OrderModel;

#[async_trait]
impl Projection for OrderModel {
    type Tx = Orders;

    fn name(&self) -> &'static str {
        "orders"
    }

    fn filter(&self) -> Filter {
        Filter::types(["OrderPlaced"])
    }

    async fn prepare(&self, orders: &mut Orders) -> Result<(), BoxError> {
        orders.clear();
        Ok(())
    }

    async fn apply(&self, events: &[Event], orders: &mut Orders) -> Result<(), BoxError> {
        for event in events {
            let user = event.stream().as_str().trim_start_matches("order-");
            orders.insert(event.position().get(), user.to_owned());
        }
        Ok(())
    }
}

/// The orders that a user may see: the user's own, or all for an administrator.
#[derive(Debug)]
pub(crate) struct OrderQuery {
    pub(crate) roles: MemoryProjections<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    order: u64,
    user: String,
}

#[async_trait]
impl LiveQuery for OrderQuery {
    type Tx = Orders;
    type Principal = User;

    fn name(&self) -> &'static str {
        "orders"
    }

    fn projection(&self) -> &'static str {
        "orders"
    }

    fn key(&self) -> &'static str {
        "order"
    }

    fn scope(&self, user: Option<&User>, _: &Params) -> Result<Scope, LiveError> {
        let forbidden = || LiveError::Forbidden("you may see no orders".into());
        let user = user.ok_or_else(forbidden)?;
        let roles = self.roles.live_state("roles").unwrap_or_default();
        match roles.get(&user.sub).map(String::as_str) {
            Some("admin") => Ok(Scope::of(&None::<String>)?),
            Some("customer") => Ok(Scope::of(&Some(&user.sub))?),
            _ => Err(forbidden()),
        }
    }

    async fn eval(
        &self,
        orders: &mut Model<'_, Orders>,
        scope: &Scope,
        _: &Params,
    ) -> Result<Rows, BoxError> {
        let only: Option<String> = scope.get()?;
        let visible = orders.iter().filter(|(_, user)| only.as_ref().is_none_or(|of| of == *user));
        Ok(Rows::collect(visible.map(|(order, user)| Row { order: *order, user: user.clone() }))?)
    }

    fn affected_by(&self, scope: &Scope, _: &Params) -> downlink::Result<Filter> {
        let only: Option<String> = scope.get()?;
        let orders = FilterItem::new().with_type("OrderPlaced")?;
        Ok(match only {
            Some(user) => orders.with_tag(format!("user:{user}"))?.into(),
            None => orders.into(),
        })
    }
}

fn follow(process: &Process, name: &str, transport: TransportKind) -> FollowLive {
    process.client(name, transport).live("orders", Params::new()).unwrap()
}

async fn next(live: &mut FollowLive) -> downlink::Result<Vec<Row>> {
    let rows = soon("rows", live.next()).await?.expect("it goes on");
    Ok(rows.decode().unwrap())
}

/// Reads until the order at this cursor is there. Everything up to there is of these users.
async fn until(live: &mut FollowLive, order: Cursor, users: &[&str]) {
    loop {
        let rows = next(live).await.unwrap();
        assert!(rows.iter().all(|row| users.contains(&&*row.user)), "{rows:?}");
        if rows.iter().any(|row| row.order == order.position().get()) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_sees_own_rows_only() {
    for transport in TRANSPORTS {
        let process = Process::start().await;
        process.has_role("ann", "customer").await;
        process.has_role("bob", "customer").await;
        let (mut ann, mut bob) =
            (follow(&process, "ann", transport), follow(&process, "bob", transport));
        for _ in 0..3 {
            let (of_bob, of_ann) = (process.order("bob").await, process.order("ann").await);
            until(&mut ann, of_ann, &["ann"]).await;
            until(&mut bob, of_bob, &["bob"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_comes_after_a_right_was_revoked() {
    for transport in TRANSPORTS {
        let process = Process::start().await;
        process.has_role("ann", "customer").await;
        process.has_role("bob", "admin").await;
        let first = process.order("ann").await;
        let (mut ann, mut bob) =
            (follow(&process, "ann", transport), follow(&process, "bob", transport));
        until(&mut ann, first, &["ann"]).await;
        until(&mut bob, first, &["ann"]).await;

        process.has_role("ann", "").await;
        let change = process.has_role("bob", "customer").await;
        process.has_seen(change).await;
        let hidden = process.order("ann").await.position().get();
        let own = process.order("bob").await;
        // What was sent before the change may still be on its way; the hidden order was not.
        let error = loop {
            match next(&mut ann).await {
                Ok(rows) => assert!(rows.iter().all(|row| row.order != hidden), "{rows:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Invalid, "{transport}: {error}");
        let rows = loop {
            let rows = next(&mut bob).await.unwrap();
            assert!(rows.iter().all(|row| row.order != hidden), "{transport}: {rows:?}");
            if rows.iter().any(|row| row.order == own.position().get()) {
                break rows;
            }
        };
        assert!(rows.iter().all(|row| row.user == "bob"), "{transport}: {rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_is_renewed_on_every_transport() {
    for transport in TRANSPORTS {
        let process = Process::start().await;
        process.has_role("ann", "customer").await;
        // Two seconds are left of the leeway of one minute.
        let client = process.anonymous(transport).with_token_provider(async |reason| {
            Ok(jwt("ann", if reason == TokenReason::Renew { 3_600 } else { -58 }))
        });
        let mut ann = client.live("orders", Params::new()).unwrap();
        let first = process.order("ann").await;
        until(&mut ann, first, &["ann"]).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let second = process.order("ann").await;
        until(&mut ann, second, &["ann"]).await;
    }
}
