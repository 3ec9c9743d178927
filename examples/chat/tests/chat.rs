//! Tests Crew Chat over real sockets, with the requests of its page.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::net::SocketAddr;
use std::time::Duration;

use chat::{Chat, ChatEvent, Options};
use downlink::event::ContentType;
use downlink::transport::{Endpoint, Frame};
use downlink::{Append, Cursor, Event, EventStore, Expected, FilterItem, NewEvent, Subscribe};
use downlink_transports::client::{Client, Socket, SocketSubscription};
use downlink_transports::serve::Signals;
use futures::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const ADA: &str = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11";
const BOB: &str = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e12";

/// Waits for an event, and names it if it does not happen.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let deadline = Duration::from_secs(30);
    tokio::time::timeout(deadline, future).await.unwrap_or_else(|_| panic!("timeout: {what}"))
}

struct Running {
    address: SocketAddr,
    signals: Signals,
    task: JoinHandle<downlink::Result<()>>,
}

impl Running {
    async fn start(folder: &TempDir) -> Self {
        let options = Options {
            db: folder.path().join("chat.db"),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let signals = Signals { drain: CancellationToken::new(), force: CancellationToken::new() };
        let chat = Chat::start(&options, signals.clone()).await.unwrap();
        let address = chat.address();
        Self { address, signals, task: tokio::spawn(chat.run()) }
    }

    /// Stops it as Ctrl-C does.
    async fn stop(self) {
        self.signals.drain.cancel();
        soon("the end of the program", self.task).await.unwrap().unwrap();
    }

    async fn socket(&self) -> Socket {
        let client = Client::new(Endpoint::new(format!("http://{}/api", self.address)));
        soon("a socket", client.socket()).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        soon("an answer", stream.read_to_string(&mut text)).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer { head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "Content-Type: application/json\r\n", &body.to_string()).await
    }

    async fn here(&self, person: &str, name: &str, room: &str) {
        let here = json!({"person": person, "name": name, "room": room});
        assert_eq!(self.post("/api/here", &here).await.status(), "200");
    }

    async fn people(&self) -> Vec<(String, String)> {
        let answer = self.ask("GET", "/api/people", "", "").await;
        let people = answer.json()["people"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut people: Vec<_> =
            people.iter().map(|person| (text(&person["name"]), text(&person["room"]))).collect();
        people.sort();
        people
    }
}

#[derive(Debug)]
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn cursor(&self) -> Cursor {
        let (_, rest) = self.head.split_once("feed-cursor: ").expect("a cursor");
        rest.split("\r\n").next().unwrap().parse().unwrap()
    }
}

fn of_room(room: &str) -> Subscribe {
    Subscribe::new().with_filter(FilterItem::new().with_stream(room).unwrap().into())
}

fn message(text: &str) -> NewEvent {
    let data = json!({"person": ADA, "name": "Ada", "text": text});
    NewEvent::json("MessagePosted", data.to_string()).unwrap()
}

async fn next_event(channel: &mut SocketSubscription) -> Event {
    loop {
        let frame = soon("an event", channel.next()).await.unwrap().unwrap();
        if let Frame::Event { event, .. } = frame {
            return event;
        }
    }
}

async fn next_text(channel: &mut SocketSubscription) -> String {
    loop {
        let event = next_event(channel).await;
        if let ChatEvent::MessagePosted { text, .. } = event.decode_raw().unwrap() {
            return text;
        }
    }
}

#[tokio::test]
async fn messages_reach_the_others_in_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Running::start(&folder).await;
    let (ada, bob) = (chat.socket().await, chat.socket().await);
    let mut tower = bob.subscribe(of_room("room-tower")).await.unwrap();
    let mut ramp = bob.subscribe(of_room("room-ramp")).await.unwrap();
    assert!(matches!(
        next_event(&mut tower).await.decode_raw().unwrap(),
        ChatEvent::RoomOpened { name } if name.as_str() == "Tower"
    ));
    for n in 0..20 {
        let said =
            ada.append_to("room-tower", Expected::Exists, [message(&format!("to {n}"))]).await;
        assert_eq!(said.unwrap().stream.as_str(), "room-tower");
    }
    for n in 0..20 {
        assert_eq!(next_text(&mut tower).await, format!("to {n}"));
    }
    ada.append_to("room-ramp", Expected::Exists, [message("elsewhere")]).await.unwrap();
    assert_eq!(next_text(&mut ramp).await, "elsewhere");
    chat.stop().await;
}

/// Appends foreign events: an unknown type, invalid payloads of known types, and a
/// person in a stream that is not a room.
async fn append_foreign_events(db: &std::path::Path) {
    let store = downlink_rusqlite::open(db).await.unwrap();
    let binary = ContentType::new("application/octet-stream").unwrap();
    let person = json!({"person": ADA, "name": "Ada"}).to_string();
    for (stream, event) in [
        ("room-tower", NewEvent::json("WeatherReported", "{}")),
        ("room-tower", NewEvent::json("PersonJoined", r#"{"who":7}"#)),
        ("room-tower", NewEvent::json("PersonLeft", "null")),
        ("room-tower", NewEvent::json("RoomOpened", "[]")),
        ("room-tower", NewEvent::json("MessagePosted", "7")),
        ("room-tower", NewEvent::bytes("PersonJoined", binary, vec![0, 255])),
        ("not-a-room", NewEvent::json("PersonJoined", person)),
    ] {
        let append = Append::to(stream, Expected::Any, [event.unwrap()]).unwrap();
        store.append(append).await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn foreign_events_do_not_affect_the_chat() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("chat.db");
    append_foreign_events(&db).await;
    let chat = Running::start(&folder).await;
    chat.here(BOB, "Bob", "room-ramp").await;
    chat.here(ADA, "Ada", "room-tower").await;
    let there = [("Ada".into(), "room-tower".into()), ("Bob".into(), "room-ramp".into())];
    assert_eq!(chat.people().await, there);
    chat.stop().await;

    append_foreign_events(&db).await;
    let chat = Running::start(&folder).await;
    assert_eq!(
        chat.people().await,
        there,
        "events before and after the foreign ones must be applied"
    );
    let socket = chat.socket().await;
    let said = socket.append_to("room-tower", Expected::Exists, [message("still here")]).await;
    let mut tower = socket.subscribe(of_room("room-tower")).await.unwrap();
    while next_event(&mut tower).await.id() != said.as_ref().unwrap().ids[0] {}
    chat.stop().await;
}

#[tokio::test]
async fn opening_a_room_is_a_command_with_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Running::start(&folder).await;
    let socket = chat.socket().await;
    let rooms = FilterItem::new().with_type("RoomOpened").unwrap();
    let mut rooms = socket.subscribe(Subscribe::new().with_filter(rooms.into())).await.unwrap();
    for room in ["room-tower", "room-gate-c71", "room-ramp", "room-lounge"] {
        assert_eq!(next_event(&mut rooms).await.stream().as_str(), room);
    }
    let opened = chat.post("/api/rooms", &json!({"name": "Hangar 7"})).await;
    assert_eq!((opened.status(), opened.json()["room"].as_str()), ("201", Some("room-hangar-7")));
    let event = next_event(&mut rooms).await;
    assert_eq!(event.cursor(), opened.cursor(), "the response must have the cursor of the event");
    for (body, status) in [
        (json!({"name": "hangar 7"}), "409"),
        (json!({"name": "!!!"}), "400"),
        (json!({"name": ""}), "400"),
        (json!(["Hangar 8"]), "400"),
        (json!({"title": "x"}), "400"),
    ] {
        let refused = chat.post("/api/rooms", &body).await;
        assert_eq!(refused.status(), status, "{body}");
        assert!(refused.json()["detail"].as_str().unwrap().len() > 10, "{refused:?}");
    }
    chat.stop().await;
}

#[tokio::test]
async fn pages_see_who_is_where() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Running::start(&folder).await;
    chat.here(ADA, "Ada", "room-tower").await;
    let list = chat.ask("GET", "/api/people", "", "").await;
    let socket = chat.socket().await;
    let joins_and_leaves = FilterItem::new().with_type_prefix("Person").unwrap();
    let subscribe = Subscribe::new().with_after(list.cursor()).with_filter(joins_and_leaves.into());
    let mut joins_and_leaves = socket.subscribe(subscribe).await.unwrap();
    chat.here(BOB, "Bob", "room-tower").await;
    chat.here(ADA, "Ada", "room-tower").await;
    chat.here(ADA, "Ada", "room-ramp").await;
    for (kind, room) in [
        ("PersonJoined", "room-tower"),
        ("PersonLeft", "room-tower"),
        ("PersonJoined", "room-ramp"),
    ] {
        let event = next_event(&mut joins_and_leaves).await;
        assert_eq!((event.event_type().as_str(), event.stream().as_str()), (kind, room));
    }
    let nowhere = json!({"person": BOB, "name": "Bob", "room": "room-nowhere"});
    assert_eq!(chat.post("/api/here", &nowhere).await.status(), "404");
    assert_eq!(chat.post("/api/gone", &json!({"person": BOB})).await.status(), "200");
    assert_eq!(chat.people().await, [("Ada".to_owned(), "room-ramp".to_owned())]);
    chat.stop().await;
    // A new process reads it from the log.
    let chat = Running::start(&folder).await;
    assert_eq!(chat.people().await, [("Ada".to_owned(), "room-ramp".to_owned())]);
    chat.stop().await;
}

#[tokio::test]
async fn a_restart_loses_and_repeats_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Running::start(&folder).await;
    let socket = chat.socket().await;
    let mut room = socket.subscribe(of_room("room-lounge")).await.unwrap();
    let first = message("one");
    let receipt = socket.append_to("room-lounge", Expected::Any, [first.clone()]).await.unwrap();
    assert_eq!(next_text(&mut room).await, "one");
    let cursor = room.cursor().unwrap();
    chat.stop().await;
    let last = soon("a goodbye", room.collect::<Vec<_>>()).await;
    assert!(matches!(last.last(), Some(Ok(Frame::Bye { .. }))), "{last:?}");

    let chat = Running::start(&folder).await;
    let socket = chat.socket().await;
    let mut room = socket.subscribe(of_room("room-lounge").with_after(cursor)).await.unwrap();
    // A page that got no answer sends the same message again.
    let again = socket.append_to("room-lounge", Expected::Any, [first]).await.unwrap();
    assert!(again.duplicate && again.cursor == receipt.cursor);
    socket.append_to("room-lounge", Expected::Any, [message("two")]).await.unwrap();
    assert_eq!(next_text(&mut room).await, "two", "a message came twice");
    chat.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Running::start(&folder).await;
    let evil = "Origin: http://evil.test\r\nContent-Type: application/json\r\n";
    let body = json!({"name": "Evil"}).to_string();
    assert_eq!(chat.ask("POST", "/api/rooms", evil, &body).await.status(), "403");
    let upgrade = "Origin: http://evil.test\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    assert_eq!(chat.ask("GET", "/api/feed/ws", upgrade, "").await.status(), "403");
    let page = chat.ask("GET", "/", "", "").await;
    assert!(page.head.contains("content-security-policy: default-src 'self'"), "{page:?}");
    assert_eq!(chat.ask("GET", "/nothing", "", "").await.status(), "404");
    chat.stop().await;
}
