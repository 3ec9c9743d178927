use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use downlink::{After, Bus, Hub, Item, Subscribe, Subscription};
use downlink_nats::NatsBus;
use downlink_postgres::Options;
use futures::StreamExt;
use sqlx::postgres::PgListener;

use crate::aim::Aim;
use crate::appender_process::connect;
use crate::arguments::Arguments;
use crate::by_hand::ByHand;
use crate::load::append;
use crate::median::median;
use crate::nats_server;
use crate::server::{Server, fresh_schema};
use crate::table;

/// Delays in microseconds.
#[derive(Default)]
struct Delays {
    /// From sending a notification to its receipt.
    bare: Vec<f64>,
    /// From inserting a row to reading it after a notification.
    by_hand: Vec<f64>,
    /// From the call of an append to the delivery of its event in another process.
    from_call: Vec<f64>,
    /// From its acknowledgment.
    from_answer: Vec<f64>,
}

/// The delay from an append to a subscriber of another process, over both buses.
pub(crate) async fn measure(server: &Server, arguments: &Arguments) {
    let nats = nats_server::Server::start();
    let mut notifications = Notifications::open(server).await;
    let mut messages = Messages::open(server, &nats.url()).await;
    let schemas = [fresh_schema(), fresh_schema()];
    let mut over_notify = Pair::open(server, &schemas[0], async || {
        let options = Options::new().with_schema(&schemas[0]);
        shared(options.connect_bus(&server.url()).await.expect("a bus"))
    })
    .await;
    let mut over_nats = Pair::open(server, &schemas[1], async || {
        shared(NatsBus::connect(&nats.url(), &schemas[1]).await.expect("a bus"))
    })
    .await;
    let (mut notify, mut by_nats) = (Delays::default(), Delays::default());
    for turn in 0..arguments.deliveries {
        notify.bare.push(notifications.bare().await);
        by_nats.bare.push(messages.bare().await);
        notify.by_hand.push(notifications.by_hand().await);
        by_nats.by_hand.push(messages.by_hand().await);
        over_notify.deliver(turn, &mut notify).await;
        over_nats.deliver(turn, &mut by_nats).await;
    }
    notify.print("NOTIFY");
    by_nats.print("NATS");
}

impl Delays {
    fn print(&self, bus: &str) {
        let Self { bare, by_hand, from_call, from_answer } = self;
        let [bare, by_hand, from_call, from_answer] =
            [bare, by_hand, from_call, from_answer].map(|delays| median(delays.iter().copied()));
        let aim = Aim::AtMost(1.5);
        table::print(&format!("{bus}: sent to received, by hand, p50"), &table::micros(bare));
        let measure = format!("{bus}: acknowledged to delivered, beside that, p50");
        table::print_ratio(&measure, &table::micros(from_answer), from_answer / bare, aim);
        let measure = format!("{bus}: INSERT, notify, receive, SELECT by hand, p50");
        table::print(&measure, &table::micros(by_hand));
        let measure = format!("{bus}: append to delivered, beside that, p50");
        table::print_ratio(&measure, &table::micros(from_call), from_call / by_hand, aim);
    }
}

fn shared(bus: impl Bus) -> Arc<dyn Bus> {
    Arc::new(bus)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Hubs of two processes, as far as they know: each with its own store and bus.
struct Pair {
    writing: Hub,
    _reading: Hub,
    subscription: Subscription,
}

impl Pair {
    async fn open(server: &Server, schema: &str, bus: impl AsyncFn() -> Arc<dyn Bus>) -> Self {
        let hub = async || {
            let store = connect(schema, &server.url()).await;
            // Only the bus wakes it.
            let hub = Hub::builder(store, bus().await).with_poll_interval(Duration::from_hours(1));
            hub.start().await.expect("a hub")
        };
        let (writing, reading) = (hub().await, hub().await);
        let subscribe = Subscribe::new().with_after(After::Now);
        let mut subscription = reading.subscribe(subscribe).await.expect("a subscription");
        while !matches!(subscription.next().await, Some(Ok(Item::Live { .. }))) {}
        Self { writing, _reading: reading, subscription }
    }

    async fn deliver(&mut self, flight: usize, delays: &mut Delays) {
        let began = Instant::now();
        let acknowledged = async {
            self.writing.append(append(flight % 64)).await.expect("an append");
            began.elapsed()
        };
        let delivered = async {
            while !matches!(self.subscription.next().await, Some(Ok(Item::Event(_)))) {}
            began.elapsed()
        };
        let (acknowledged, delivered) = tokio::join!(acknowledged, delivered);
        delays.from_call.push(micros(delivered));
        delays.from_answer.push(micros(delivered) - micros(acknowledged));
    }
}

/// `LISTEN` and `NOTIFY` by hand.
struct Notifications {
    listener: PgListener,
    table: ByHand,
}

impl Notifications {
    async fn open(server: &Server) -> Self {
        let mut listener = PgListener::connect(&server.url()).await.expect("a connection");
        listener.listen("by_hand").await.expect("to listen");
        Self { listener, table: ByHand::create(server, "notified", 2).await }
    }

    async fn bare(&mut self) -> f64 {
        let began = Instant::now();
        self.notify(0).await;
        micros(began.elapsed())
    }

    /// Sends a notification and receives it.
    async fn notify(&mut self, position: i64) {
        let notify = sqlx::query("SELECT pg_notify('by_hand', $1)").bind(position.to_string());
        let sent = async { notify.execute(&self.table.pool).await.expect("to notify") };
        let (_, received) = tokio::join!(sent, self.listener.recv());
        received.expect("a notification");
    }

    async fn by_hand(&mut self) -> f64 {
        let began = Instant::now();
        let position = self.table.insert_at(&self.table.pool, 1).await;
        self.notify(position).await;
        self.table.read(position).await;
        micros(began.elapsed())
    }
}

/// NATS by hand.
struct Messages {
    client: async_nats::Client,
    subscriber: Subscriber,
    table: ByHand,
}

impl Messages {
    async fn open(server: &Server, nats: &str) -> Self {
        let client = async_nats::connect(nats).await.expect("NATS");
        // Another connection, as of another process.
        let other = async_nats::connect(nats).await.expect("NATS");
        let subscriber = other.subscribe("by_hand").await.expect("a subscription");
        other.flush().await.expect("NATS");
        Self { client, subscriber, table: ByHand::create(server, "messaged", 2).await }
    }

    async fn bare(&mut self) -> f64 {
        let began = Instant::now();
        self.publish().await;
        micros(began.elapsed())
    }

    async fn publish(&mut self) {
        let sent = async {
            self.client.publish("by_hand", "7".into()).await.expect("to publish");
            self.client.flush().await.expect("to publish");
        };
        let ((), received) = tokio::join!(sent, self.subscriber.next());
        received.expect("a message");
    }

    async fn by_hand(&mut self) -> f64 {
        let began = Instant::now();
        let position = self.table.insert_at(&self.table.pool, 1).await;
        self.publish().await;
        self.table.read(position).await;
        micros(began.elapsed())
    }
}
