//! Tests Gate Service over real sockets, with the requests of its page.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use downlink_transports::serve::Signals;
use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Waits for an event, and names it if it does not happen.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let deadline = Duration::from_mins(1);
    tokio::time::timeout(deadline, future).await.unwrap_or_else(|_| panic!("timeout: {what}"))
}

fn tempdir() -> TempDir {
    tempfile::tempdir().unwrap()
}

struct Running {
    address: SocketAddr,
    signals: Signals,
    task: JoinHandle<downlink::Result<()>>,
}

impl Running {
    async fn start(folder: &TempDir) -> Self {
        let db = folder.path().join("orders.db");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let signals = Signals { drain: CancellationToken::new(), force: CancellationToken::new() };
        let until = signals.clone();
        let task = tokio::spawn(async move { orders::serve(listener, &db, until).await });
        Self { address, signals, task }
    }

    /// Stops it as Ctrl-C does.
    async fn stop(self) {
        self.signals.drain.cancel();
        soon("the end of the program", self.task).await.unwrap().unwrap();
    }

    fn visitor(&self) -> Visitor {
        Visitor { address: self.address, host: self.address.to_string(), cookie: String::new() }
    }

    /// Logs in.
    async fn user(&self, name: &str) -> Visitor {
        let mut visitor = self.visitor();
        let answer = visitor.post("/login", &json!({ "user": name })).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
        let (cookie, _) = cookie.split_once(';').unwrap();
        visitor.cookie = format!("Cookie: {cookie}\r\nOrigin: http://{}\r\n", self.address);
        visitor
    }
}

/// Someone with a browser, and perhaps with a session.
#[derive(Clone)]
struct Visitor {
    address: SocketAddr,
    host: String,
    cookie: String,
}

impl Visitor {
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} /api{path} HTTP/1.1\r\nHost: {}\r\n{}{headers}Content-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.host,
            self.cookie,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        soon("an answer", stream.read_to_string(&mut text)).await.unwrap();
        Answer::parse(&text)
    }

    /// Reads the feed as an `EventSource` does, until the server ends it.
    async fn follow(&self, path: &str) -> JoinHandle<String> {
        let mut stream = BufReader::new(TcpStream::connect(self.address).await.unwrap());
        let request = format!(
            "GET /api{path} HTTP/1.1\r\nHost: {}\r\n{}Accept: text/event-stream\r\n\r\n",
            self.address, self.cookie
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.contains("feed.ready") {
            assert_ne!(soon("a stream", stream.read_line(&mut head)).await.unwrap(), 0, "{head}");
        }
        tokio::spawn(async move {
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        })
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "Content-Type: application/json\r\n", &body.to_string()).await
    }

    async fn order(&self, quantity: u32) -> Answer {
        let cart = json!({"item": "Coffee", "quantity": quantity, "gate": "C71"});
        let answer = self.post("/orders", &cart).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// The customers of the orders in the list and in the feed.
    async fn customers(&self, at_least: &str) -> BTreeSet<String> {
        let list = self.get(&format!("/orders?at_least={at_least}&wait=50")).await.json();
        let feed = self.get("/feed?limit=1000").await.json();
        let placed = feed["events"].as_array().unwrap().iter().map(|event| &event["data"]);
        let rows = list["orders"].as_array().unwrap().iter().chain(placed);
        rows.filter_map(|row| row["customer"].as_str().map(str::to_owned)).collect()
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn cursor(&self) -> &str {
        self.header("feed-cursor").expect("a cursor")
    }
}

#[tokio::test]
async fn users_see_their_own_orders_only() {
    let folder = tempdir();
    let service = Running::start(&folder).await;
    let (ada, bob) = (service.user("ada").await, service.user("bob").await);
    let of_ada = ada.order(1).await;
    let of_bob = bob.order(2).await;
    let only = |name: &str| BTreeSet::from([name.to_owned()]);
    assert_eq!(ada.customers(of_bob.cursor()).await, only("ada"));
    assert_eq!(bob.customers(of_bob.cursor()).await, only("bob"));
    // A filter cannot widen the rights.
    let other = bob.get("/feed?tag=customer:ada").await.json();
    assert_eq!(other["events"], json!([]));
    let id = of_ada.json()["order"].as_str().unwrap().to_owned();
    assert_eq!(bob.get(&format!("/streams/order-{id}")).await.status, 404);
    let cancelled = bob.post(&format!("/orders/{id}/cancel"), &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.json()["code"]), (409, &json!("no-such-order")));
    assert_eq!(ada.post(&format!("/orders/{id}/cancel"), &json!({})).await.status, 204);
    service.stop().await;
}

#[tokio::test]
async fn strangers_see_nothing() {
    let folder = tempdir();
    let service = Running::start(&folder).await;
    service.user("ada").await.order(1).await;
    let stranger = service.visitor();
    for path in ["/me", "/orders", "/live/items", "/feed", "/streams/user-grace"] {
        let answer = stranger.get(path).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (401, &json!("unauthenticated")),
            "{path}"
        );
    }
    let mut forger = service.visitor();
    forger.cookie =
        format!("Cookie: __Host-session=grace\r\nOrigin: http://{}\r\n", service.address);
    assert_eq!(forger.get("/me").await.status, 401);
    assert_eq!(stranger.post("/login", &json!({"user": "Ada"})).await.status, 400);
    // As a page of another site does after DNS rebinding.
    let mut rebound = stranger;
    rebound.host = "evil.test".to_owned();
    assert_eq!(rebound.post("/login", &json!({"user": "ada"})).await.status, 403);
    service.stop().await;
}

#[tokio::test]
async fn administrators_see_and_deliver_the_orders_of_all() {
    let folder = tempdir();
    let service = Running::start(&folder).await;
    let (ada, grace) = (service.user("ada").await, service.user("grace").await);
    let placed = ada.order(2).await;
    let id = placed.json()["order"].as_str().unwrap().to_owned();
    for path in [format!("/orders/{id}/deliver"), "/administrators".to_owned()] {
        let body = json!({"user": "ada", "administrator": true});
        let body = if path == "/administrators" { body } else { json!({}) };
        assert_eq!(ada.post(&path, &body).await.status, 403, "{path}");
    }
    for query in ["/live/items", "/live/open-orders"] {
        assert_eq!(ada.get(query).await.status, 403, "{query}");
    }
    assert_eq!(grace.customers(placed.cursor()).await, BTreeSet::from(["ada".to_owned()]));
    let open = format!("/live/open-orders?at_least={}&wait=50", placed.cursor());
    assert_eq!(grace.get(&open).await.json()["rows"][0]["customer"], "ada");
    let delivered = grace.post(&format!("/orders/{id}/deliver"), &json!({})).await;
    assert_eq!(delivered.status, 204);
    let rows = async |query: &str| {
        let query = format!("/live/{query}?at_least={}&wait=50", delivered.cursor());
        grace.get(&query).await.json()["rows"].clone()
    };
    assert_eq!(rows("open-orders").await, json!([]));
    let coffee = json!({"item": "Coffee", "open": 0, "delivered": 2, "cancelled": 0, "cents": 700});
    assert_eq!(rows("items").await[0], coffee);
    service.stop().await;
}

#[tokio::test]
async fn a_role_is_granted_and_revoked_by_events() {
    let folder = tempdir();
    let service = Running::start(&folder).await;
    let (bob, grace) = (service.user("bob").await, service.user("grace").await);
    for is_administrator in [true, false] {
        let set = json!({"user": "bob", "administrator": is_administrator});
        let set = grace.post("/administrators", &set).await;
        let me = format!("/me?at_least={}&wait=50", set.cursor());
        let all = if is_administrator { json!(["bob", "grace"]) } else { json!(["grace"]) };
        assert_eq!(grace.get(&me).await.json(), json!({"user": "grace", "administrators": all}));
        let all = if is_administrator { all } else { json!(null) };
        assert_eq!(bob.get(&me).await.json(), json!({"user": "bob", "administrators": all}));
        let visible =
            bob.get("/feed?type=RoleGranted").await.json()["events"].as_array().unwrap().len();
        assert_eq!(visible, if is_administrator { 2 } else { 0 });
    }
    service.stop().await;
}

#[tokio::test]
async fn a_changed_role_ends_what_is_open() {
    let folder = tempdir();
    let service = Running::start(&folder).await;
    let (ada, bob) = (service.user("ada").await, service.user("bob").await);
    let grace = service.user("grace").await;
    let set = async |administrator: bool| {
        let set = json!({"user": "bob", "administrator": administrator});
        assert_eq!(grace.post("/administrators", &set).await.status, 204);
    };
    let as_customer = bob.follow("/feed").await;
    set(true).await;
    let text = soon("the end of the customer's stream", as_customer).await.unwrap();
    assert!(text.contains("rights-changed"), "what was hidden has to be loaded: {text}");

    let as_administrator = bob.follow("/feed").await;
    let dashboard = bob.follow("/live/open-orders").await;
    let seen = ada.order(1).await.json()["order"].as_str().unwrap().to_owned();
    set(false).await;
    let hidden = ada.order(1).await.json()["order"].as_str().unwrap().to_owned();
    let text = soon("the end of the administrator's stream", as_administrator).await.unwrap();
    assert!(text.contains(&seen) && !text.contains(&hidden), "{text}");
    assert!(text.contains("feed.bye") && text.contains("\"rights\""), "{text}");
    let text = soon("the end of the dashboard", dashboard).await.unwrap();
    assert!(!text.contains(&hidden) && text.contains("rights"), "{text}");
    assert_eq!(bob.get("/live/open-orders").await.status, 403);
    service.stop().await;
}

#[tokio::test]
async fn a_repeated_order_is_one_order() {
    let folder = tempdir();
    let service = Running::start(&folder).await;
    let (ada, bob) = (service.user("ada").await, service.user("bob").await);
    let key = "Content-Type: application/json\r\nIdempotency-Key: 0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11\r\n";
    let cart = r#"{"item":"Salad","quantity":1,"gate":"A1"}"#;
    let first = ada.ask("POST", "/orders", key, cart).await;
    let again = ada.ask("POST", "/orders", key, cart).await;
    assert_eq!((again.status, &again.body, again.cursor()), (201, &first.body, first.cursor()));
    let other = ada.ask("POST", "/orders", key, &cart.replace('1', "2")).await;
    assert_eq!((other.status, &other.json()["code"]), (422, &json!("id-reused")));
    let of_bob = bob.ask("POST", "/orders", key, cart).await;
    assert_ne!(of_bob.json(), first.json(), "a key is that of one user");
    service.stop().await;
}

// ANCHOR: snapshot
#[tokio::test]
async fn a_page_and_the_feed_after_it_miss_nothing() {
    let folder = tempdir();
    let service = Running::start(&folder).await;
    let ada = service.user("ada").await;
    let ordering = (0..3).map(|_| {
        let ada = ada.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                ada.order(1).await;
            }
        })
    });
    let ordering = tokio::spawn(join_all(ordering.collect::<Vec<_>>()));
    let mut pages = Vec::new();
    while !ordering.is_finished() {
        pages.push(ada.get("/orders").await);
    }
    ordering.await.unwrap();
    for page in pages {
        let loaded = page.json()["orders"].as_array().unwrap().len();
        let feed = format!("/feed?tag=customer:ada&limit=1000&after={}", page.cursor());
        let followed = ada.get(&feed).await.json()["events"].as_array().unwrap().len();
        assert_eq!(loaded + followed, 60, "the page as of {}", page.cursor());
    }
    service.stop().await;
}
// ANCHOR_END: snapshot

#[tokio::test]
async fn orders_and_roles_survive_a_restart() {
    let folder = tempdir();
    let service = Running::start(&folder).await;
    let placed = service.user("ada").await.order(1).await;
    let grace = service.user("grace").await;
    grace.post("/administrators", &json!({"user": "bob", "administrator": true})).await;
    grace.post("/administrators", &json!({"user": "grace", "administrator": false})).await;
    service.stop().await;
    let service = Running::start(&folder).await;
    let customers = service.user("ada").await.customers(placed.cursor()).await;
    assert_eq!(customers, BTreeSet::from(["ada".to_owned()]));
    let administrators = async |name: &str| {
        service.user(name).await.get("/me").await.json()["administrators"].clone()
    };
    assert_eq!(administrators("bob").await, json!(["bob"]));
    assert_eq!(administrators("grace").await, json!(null));
    service.stop().await;
}
