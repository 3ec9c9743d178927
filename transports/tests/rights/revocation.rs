use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use downlink::transport::Frame;
use downlink::{After, Cursor, ErrorKind, Event, Filter, Result, Subscribe};
use downlink_transports::client::TransportKind;
use downlink_transports::feed::{Feed, Reauthorization, Rights};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::header::HOST;
use http::request::Parts;
use http::{Request, StatusCode};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::company::{IDLE_SUBSCRIPTIONS, Logins, Process, TRANSPORTS, User, token};
use crate::support::{Raw, soon};

type Frames = BoxStream<'static, Result<Frame>>;

async fn open(
    process: &Process,
    name: &str,
    transport: TransportKind,
    after: impl Into<After>,
) -> Frames {
    let subscribe = Subscribe::new().with_after(after);
    soon("a stream", process.client(name, transport).connect(subscribe)).await.unwrap()
}

/// The cursors of the events up to this one.
async fn until(frames: &mut Frames, cursor: Cursor) -> Vec<Cursor> {
    let mut seen = Vec::new();
    while seen.last() != Some(&cursor) {
        let frame = soon("an event", frames.next()).await.unwrap().unwrap();
        if let Frame::Event { event, .. } = frame {
            seen.push(event.cursor());
        }
    }
    seen
}

async fn until_live(frames: &mut Frames) {
    loop {
        let frame = soon("live", frames.next()).await.unwrap().unwrap();
        if matches!(frame, Frame::Live { .. }) {
            return;
        }
    }
}

/// How a stream ended, and the events before.
#[derive(Debug, Default)]
struct End {
    events: Vec<Cursor>,
    bye: Option<String>,
    reset: Option<String>,
    error: Option<ErrorKind>,
}

/// Reads a stream up to its end, in a task. Returns when the server waits for changes.
async fn reading(process: &Process, transport: TransportKind, frames: Frames) -> JoinHandle<End> {
    let reading = tokio::spawn(end(frames));
    if transport == TransportKind::LongPoll {
        let open = || process.hub.stats().open_subscriptions;
        soon("a poll", async {
            while open() <= IDLE_SUBSCRIPTIONS {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    reading
}

/// Reads up to the end, or to an order of ann's that she places when it has to be there.
async fn end(mut frames: Frames) -> End {
    let mut end = End::default();
    while let Some(frame) = soon("the end of the stream", frames.next()).await {
        match frame {
            Ok(Frame::Event { event, .. }) => {
                end.events.push(event.cursor());
                if event.stream().as_str() == "order-ann" {
                    break;
                }
            }
            Ok(Frame::Bye { reason, .. }) => end.bye = Some(reason),
            Ok(Frame::Reset { reason, .. }) => end.reset = Some(reason),
            Ok(_) => {}
            Err(error) => end.error = Some(error.kind()),
        }
    }
    end
}

impl End {
    /// Checks that the client is to return to its cursor. A poll that was answered before
    /// just polls again.
    #[track_caller]
    fn returns(&self, transport: TransportKind) {
        assert_eq!(self.reset, None);
        match transport {
            TransportKind::LongPoll => {
                assert!(self.bye.as_deref().is_none_or(|bye| bye == "rights-pending"), "{self:?}");
            }
            _ => assert_eq!(self.bye.as_deref(), Some("rights"), "{self:?}"),
        }
    }

    /// Checks that the client is to load again.
    #[track_caller]
    fn loads_again(&self) {
        assert_eq!(self.reset.as_deref(), Some("rights-changed"), "{self:?}");
    }
}

/// Revokes a role of a user with an open stream, and checks what is sent afterwards.
async fn revoke(serving: &Process, appending: &Process, transport: TransportKind) -> Duration {
    serving.roles.wait_for(appending.has_role("ann", "admin").await).await.unwrap();
    let of_bob = appending.order("bob").await;
    let mut frames = open(serving, "ann", transport, Cursor::START).await;
    until(&mut frames, of_bob).await;
    until_live(&mut frames).await;
    let reading = reading(serving, transport, frames).await;

    let begun = Instant::now();
    let changed = appending.set_role("ann", "customer").await;
    if transport == TransportKind::LongPoll {
        serving.has_seen(changed).await;
        appending.order("bob").await;
        appending.order("ann").await;
    }
    let end = reading.await.unwrap();
    let measured = begun.elapsed();
    end.returns(transport);
    let later: Vec<_> = end.events.iter().filter(|cursor| **cursor > changed).collect();
    assert!(later.len() <= 1, "{transport}: an order of bob came after the change: {end:?}");

    let hidden = appending.order("bob").await;
    let own = appending.order("ann").await;
    let mut again = open(serving, "ann", transport, of_bob).await;
    let seen = until(&mut again, own).await;
    assert!(!seen.contains(&hidden) && !seen.contains(&changed), "{transport}: {seen:?}");
    let mut replay = open(serving, "ann", transport, Cursor::START).await;
    assert!(!until(&mut replay, own).await.contains(&of_bob), "{transport}: replay shows more");
    assert!(measured < Duration::from_secs(5), "{transport}: {measured:?}");
    measured
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_right_ends_the_stream_on_every_transport() {
    let process = Process::start().await;
    for transport in TRANSPORTS {
        let measured = revoke(&process, &process, transport).await;
        println!("{transport}: revoked after {measured:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_revoked_in_another_process_on_the_same_file_ends_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    let logins = Logins::new();
    let one = Arc::new(downlink_rusqlite::open(&file).await.unwrap());
    let two = Arc::new(downlink_rusqlite::open(&file).await.unwrap());
    let appending = Process::with(one, &logins, |feed| feed).await;
    let serving = Process::with(two, &logins, |feed| feed).await;
    for transport in TRANSPORTS {
        let measured = revoke(&serving, &appending, transport).await;
        println!("{transport}: revoked in another process after {measured:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_roles_lag_the_stream_ends_and_its_return_waits() {
    let process = Process::start().await;
    for transport in TRANSPORTS {
        process.has_role("ann", "admin").await;
        let of_bob = process.order("bob").await;
        let mut frames = open(&process, "ann", transport, Cursor::START).await;
        until(&mut frames, of_bob).await;
        until_live(&mut frames).await;
        let reading = reading(&process, transport, frames).await;

        process.roles.pause().await.unwrap();
        let begun = Instant::now();
        let changed = process.set_role("ann", "customer").await;
        let end = reading.await.unwrap();
        let measured = begun.elapsed();
        println!("{transport}: revoked after {measured:?}, while the roles lag");
        // What the rights are now is not known, so nothing may be missed. The client of
        // polls asks for the head then, which has to wait.
        if transport != TransportKind::LongPoll {
            assert!(measured < Duration::from_secs(5), "{transport}: {measured:?}");
            end.loads_again();
        }
        assert!(end.events.iter().all(|cursor| *cursor <= changed), "{end:?}");

        let resumed = Arc::new(AtomicBool::new(false));
        let returning = {
            let (resumed, client) = (Arc::clone(&resumed), process.client("ann", transport));
            tokio::spawn(async move {
                let frames = client.connect(Subscribe::new()).await.unwrap();
                assert!(resumed.load(Ordering::SeqCst), "answered with the rights of before");
                frames
            })
        };
        let own = process.order("ann").await;
        // Time for an answer that comes too early; one that does not is not waited for.
        tokio::time::sleep(Duration::from_millis(300)).await;
        resumed.store(true, Ordering::SeqCst);
        process.roles.resume().await.unwrap();
        let mut frames = soon("the return", returning).await.unwrap();
        let seen = until(&mut frames, own).await;
        assert!(!seen.contains(&of_bob), "{transport}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_is_refused_for_a_while_if_the_roles_lag_too_long() {
    let process = Process::start().await;
    process.has_role("ann", "customer").await;
    // Begins to follow changes.
    drop(open(&process, "ann", TransportKind::Sse, Cursor::START).await);
    process.roles.pause().await.unwrap();
    let changed = process.set_role("ann", "admin").await;
    process.has_seen(changed).await;
    let mut raw = Raw::connect(process.address()).await;
    let token = token("ann");
    raw.send(&format!(
        "GET /feed HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    ))
    .await;
    let answer = raw.answer().await;
    // Either it was waited for, or the change was not known yet, and then nothing is new.
    assert!(answer.contains("503") && answer.contains("rights-pending"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("retry-after: 1\r\n"), "{answer}");
    process.roles.resume().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wider_rights_tell_the_client_to_load_again() {
    let process = Process::start().await;
    for transport in TRANSPORTS {
        process.has_role("ann", "customer").await;
        let of_bob = process.order("bob").await;
        let own = process.order("ann").await;
        let mut frames = open(&process, "ann", transport, Cursor::START).await;
        let seen = until(&mut frames, own).await;
        assert!(!seen.contains(&of_bob), "{transport}: {seen:?}");
        until_live(&mut frames).await;
        let reading = reading(&process, transport, frames).await;
        process.set_role("ann", "admin").await;
        reading.await.unwrap().loads_again();
        let mut again = open(&process, "ann", transport, Cursor::START).await;
        assert!(until(&mut again, own).await.contains(&of_bob));
    }
}

/// No poll waits when the rights change: the next one is told.
#[tokio::test(flavor = "multi_thread")]
async fn wider_rights_between_two_polls_tell_the_client_to_load_again() {
    let process = Process::start().await;
    let transport = TransportKind::LongPoll;
    process.has_role("ann", "customer").await;
    process.order("bob").await;
    let own = process.order("ann").await;
    let mut frames = open(&process, "ann", transport, Cursor::START).await;
    until(&mut frames, own).await;
    until_live(&mut frames).await;
    process.has_role("ann", "admin").await;
    end(frames).await.loads_again();
    // Loaded again, it goes on.
    let mut again = open(&process, "ann", transport, Cursor::START).await;
    until(&mut again, own).await;
    let next = process.order("bob").await;
    until(&mut again, next).await;
}

/// A user whose rights change when a test says so, and whose changes are followed when it says so.
struct Ann {
    hub: downlink::Hub,
    router: axum::Router,
    rights: Arc<Mutex<Filter>>,
    /// Whether no change is followed at present.
    is_held: Arc<AtomicBool>,
}

impl Ann {
    async fn new() -> Self {
        let hub = downlink::memory::hub().await.unwrap();
        let rights = Arc::new(Mutex::new(Filter::types(["Open"])));
        let authorizer = {
            let rights = Arc::clone(&rights);
            move |_: &Parts| {
                let filter = rights.lock().unwrap().clone();
                ready(Ok(Rights::to(filter).with_principal(User::new("ann"))))
            }
        };
        let is_held = Arc::new(AtomicBool::new(false));
        let principals = {
            let is_held = Arc::clone(&is_held);
            move |_: &Event| {
                while is_held.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Some(User::new("ann"))
            }
        };
        let changes = Filter::types(["RoleChanged"]);
        let feed = Feed::new(&hub).with_authorizer(authorizer);
        let feed = feed.with_reauthorization(Reauthorization::on(changes, principals));
        Self { router: feed.router(), hub, rights, is_held }
    }

    async fn append(&self, name: &str) -> Cursor {
        let event = downlink::NewEvent::json(name, "{}").unwrap();
        let appended = self.hub.append_to("user-ann", downlink::Expected::Any, [event]).await;
        appended.unwrap().cursor
    }

    fn may_see(&self, filter: Filter) {
        *self.rights.lock().unwrap() = filter;
    }

    fn widen(&self) {
        self.may_see(Filter::everything());
    }

    /// A stream from the beginning that was read up to this event.
    async fn stream_up_to(&self, cursor: Cursor) -> axum::body::BodyDataStream {
        let stream = self.get("text/event-stream", "after=0".into()).await;
        let mut body = stream.into_body().into_data_stream();
        self.has_read(&mut body, cursor).await;
        body
    }

    async fn has_read(&self, body: &mut axum::body::BodyDataStream, cursor: Cursor) {
        let mut text = String::new();
        while !text.contains(&format!("id: {cursor}")) {
            let next = soon("an event", body.next()).await;
            text.push_str(std::str::from_utf8(&next.unwrap().unwrap()).unwrap());
        }
    }

    /// Waits until the number of open subscriptions is at most this.
    async fn until_open(&self, count: u64) {
        soon("the streams to end", async {
            while self.hub.stats().open_subscriptions > count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn hold(&self, is_held: bool) {
        self.is_held.store(is_held, Ordering::SeqCst);
    }

    /// Waits until every change so far was followed.
    async fn has_followed(&self) {
        let stream = self.get("text/event-stream", "after=now".into()).await;
        self.append("RoleChanged").await;
        let mut body = stream.into_body().into_data_stream();
        while soon("a stream whose rights changed to end", body.next()).await.is_some() {}
    }

    async fn get(&self, accept: &str, query: String) -> axum::response::Response {
        let request = Request::builder().uri(format!("/feed?{query}")).header(HOST, "localhost");
        let request = request.header("accept", accept).body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn poll(&self, after: Cursor, wait: u64) -> StatusCode {
        self.get("application/json", format!("after={after}&wait={wait}")).await.status()
    }
}

/// The authorizer may know of a change before its event is stored. A poll that comes in between
/// is told when the event is.
#[tokio::test(flavor = "multi_thread")]
async fn wider_rights_that_come_before_their_event_tell_the_client_to_load_again() {
    let ann = Ann::new().await;
    ann.append("Open").await;
    ann.append("Hidden").await;
    let seen = ann.append("Open").await;
    assert_eq!(ann.poll(seen, 0).await, StatusCode::OK);
    ann.widen();
    assert_eq!(ann.poll(seen, 0).await, StatusCode::OK, "nothing says why the rights are wider");
    let (told, _) = tokio::join!(ann.poll(seen, 20), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        ann.append("RoleChanged").await
    });
    assert_eq!(told, StatusCode::GONE, "what was hidden is missed");
}

/// The feed may read the event of a change later than others do.
#[tokio::test(flavor = "multi_thread")]
async fn wider_rights_whose_event_is_read_late_tell_the_client_to_load_again() {
    let ann = Ann::new().await;
    ann.append("Hidden").await;
    let seen = ann.append("Open").await;
    assert_eq!(ann.poll(seen, 0).await, StatusCode::OK);
    ann.widen();
    ann.hold(true);
    let is_held = Arc::clone(&ann.is_held);
    let releasing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        is_held.store(false, Ordering::SeqCst);
    });
    ann.append("RoleChanged").await;
    let told = ann.poll(seen, 20).await;
    releasing.join().unwrap();
    assert_eq!(told, StatusCode::GONE, "what was hidden is missed");
}

/// What is sent may overtake the event that changes the rights.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_beyond_a_change_of_rights_is_told_of_it() {
    let ann = Ann::new().await;
    ann.append("Hidden").await;
    let first = ann.append("Open").await;
    drop(ann.stream_up_to(first).await);
    // The one that follows changes.
    ann.until_open(1).await;
    ann.hold(true);
    let mut stream = ann.stream_up_to(first).await;
    ann.widen();
    ann.append("RoleChanged").await;
    let seen = ann.append("Open").await;
    ann.has_read(&mut stream, seen).await;
    drop(stream);
    ann.until_open(1).await;
    ann.hold(false);
    ann.has_followed().await;
    assert_eq!(ann.poll(seen, 0).await, StatusCode::GONE, "what was hidden is missed");
}

/// A client is told to go on if its rights have become narrower. They may be wider when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_away_between_two_changes_is_told_of_the_second() {
    let ann = Ann::new().await;
    ann.append("Hidden").await;
    let seen = ann.append("Open").await;
    let mut stream = ann.stream_up_to(seen).await;
    ann.may_see(Filter::nothing());
    ann.append("RoleChanged").await;
    while soon("a stream whose rights changed to end", stream.next()).await.is_some() {}
    drop(stream);
    ann.until_open(1).await;
    ann.widen();
    ann.has_followed().await;
    assert_eq!(ann.poll(seen, 0).await, StatusCode::GONE, "what was hidden is missed");
}

/// Another client of the user may be back first.
#[tokio::test(flavor = "multi_thread")]
async fn each_stream_that_was_cut_is_told_of_wider_rights() {
    let ann = Ann::new().await;
    ann.append("Hidden").await;
    let seen = ann.append("Open").await;
    drop(ann.stream_up_to(seen).await);
    ann.until_open(1).await;
    let other = ann.append("Open").await;
    assert_eq!(ann.poll(other, 0).await, StatusCode::OK);
    ann.widen();
    ann.has_followed().await;
    assert_eq!(ann.poll(other, 0).await, StatusCode::GONE, "what was hidden is missed");
    assert_eq!(ann.poll(seen, 0).await, StatusCode::GONE, "what was hidden is missed");
}

/// The answer that says so may be lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_of_wider_rights_until_it_loads_again() {
    let ann = Ann::new().await;
    ann.append("Hidden").await;
    let seen = ann.append("Open").await;
    let mut stream = ann.stream_up_to(seen).await;
    ann.widen();
    ann.append("RoleChanged").await;
    while soon("a stream whose rights changed to end", stream.next()).await.is_some() {}
    drop(stream);
    ann.until_open(1).await;
    for _ in 0..3 {
        assert_eq!(ann.poll(seen, 0).await, StatusCode::GONE, "what was hidden is missed");
    }
    let head = ann.hub.head().await.unwrap();
    assert_eq!(ann.poll(head, 0).await, StatusCode::OK, "told, although it has loaded again");
}

/// Polls of one user are told apart by their cursors.
#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_has_loaded_again_is_not_told_once_more() {
    let ann = Ann::new().await;
    ann.append("Hidden").await;
    let early = ann.append("Open").await;
    let seen = ann.append("Open").await;
    assert_eq!(ann.poll(seen, 0).await, StatusCode::OK);
    ann.widen();
    ann.has_followed().await;
    let head = ann.append("Open").await;
    assert_eq!(ann.poll(head, 0).await, StatusCode::OK, "told, although it was not here before");
    let page = ann.get("application/json", "after=0&limit=2".into()).await;
    assert_eq!(page.headers()["feed-cursor"].to_str().unwrap(), early.to_string());
    assert_eq!(ann.poll(early, 0).await, StatusCode::OK, "told, although it has loaded again");
    assert_eq!(ann.poll(seen, 0).await, StatusCode::GONE, "what was hidden is missed");
}

/// A stream that was cut or rotated, and one that ended before the rights changed, are the same
/// to a client.
#[tokio::test(flavor = "multi_thread")]
async fn wider_rights_between_two_streams_tell_the_client_to_load_again() {
    for transport in TRANSPORTS {
        let process = Process::start().await;
        process.has_role("ann", "customer").await;
        let hidden = process.order("bob").await;
        let own = process.order("ann").await;
        let mut frames = open(&process, "ann", transport, After::Start).await;
        until(&mut frames, own).await;
        drop(frames);
        soon("the server to see that the client is gone", async {
            while process.hub.stats().open_subscriptions > IDLE_SUBSCRIPTIONS {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let change = process.has_role("ann", "admin").await;
        process.has_seen(change).await;
        let subscribe = Subscribe::new().with_after(own);
        let client = process.client("ann", transport);
        let error = soon("an answer", client.connect(subscribe)).await.err();
        let error = error.unwrap_or_else(|| panic!("{transport}: events before {own} are missed"));
        assert_eq!(error.kind(), ErrorKind::HistoryChanged, "{transport}: {error}");
        // Loaded again, it has what was hidden, and goes on from there.
        let mut again = open(&process, "ann", transport, After::Start).await;
        assert!(until(&mut again, own).await.contains(&hidden), "{transport}");
        drop(again);
        let next = process.order("bob").await;
        let mut later = open(&process, "ann", transport, change).await;
        until(&mut later, next).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_after_the_revocation_is_not_appended() {
    let store = Arc::new(downlink::MemoryStore::new());
    let process =
        Process::with(store, &Logins::new(), downlink_transports::feed::Feed::with_append).await;
    process.has_role("ann", "customer").await;
    let body = r#"{"type":"OrderPlaced","data":{},"tags":["user:ann"]}"#;
    let (first, rest) = body.split_at(10);
    let mut raw = Raw::connect(process.address()).await;
    raw.send(&format!(
        "POST /streams/order-ann HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        token("ann"),
        body.len()
    ))
    .await;
    // The body is asked for when the request has been authorized.
    raw.until("100 Continue\r\n\r\n").await;
    raw.send(first).await;
    let change = process.has_role("ann", "").await;
    process.has_seen(change).await;
    raw.send(rest).await;
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("rights-pending"), "{answer}");
    assert_eq!(process.hub.head().await.unwrap(), change);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_concerns_its_principal_only() {
    let process = Process::start().await;
    process.has_role("ann", "customer").await;
    process.has_role("bob", "customer").await;
    for transport in TRANSPORTS {
        let mut of_bob = open(&process, "bob", transport, After::Now).await;
        let mut of_ann = open(&process, "ann", transport, After::Now).await;
        until_live(&mut of_ann).await;
        let of_ann = reading(&process, transport, of_ann).await;
        let changed = process.set_role("ann", "customer").await;
        if transport == TransportKind::LongPoll {
            process.has_seen(changed).await;
            process.order("ann").await;
        }
        of_ann.await.unwrap().returns(transport);
        let order = process.order("bob").await;
        until(&mut of_bob, order).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_taken_away_ends_in_a_refusal() {
    let process = Process::start().await;
    for transport in TRANSPORTS {
        process.has_role("ann", "customer").await;
        let mut frames = open(&process, "ann", transport, After::Now).await;
        until_live(&mut frames).await;
        let reading = reading(&process, transport, frames).await;
        process.set_role("ann", "none").await;
        reading.await.unwrap().returns(transport);
        let refused = process.client("ann", transport).connect(Subscribe::new()).await;
        assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Invalid));
    }
}

/// A stream that is being opened while the right is revoked ends, whichever comes first.
#[tokio::test(flavor = "multi_thread")]
async fn no_stream_slips_through_while_it_is_opened() {
    let process = Process::start().await;
    process.has_role("bob", "customer").await;
    for round in 0..150 {
        let transport = TRANSPORTS[round % 3];
        process.has_role("ann", "admin").await;
        let client = process.client("ann", transport);
        let subscribe = Subscribe::new().with_after(After::Now);
        let (opened, changed) =
            tokio::join!(client.connect(subscribe), process.set_role("ann", "customer"));
        process.roles.wait_for(changed).await.unwrap();
        process.has_seen(changed).await;
        // Another request that is answered with the new rights has seen the change too.
        drop(open(&process, "ann", transport, After::Now).await);
        let hidden = process.order("bob").await;
        let own = process.order("ann").await;
        let Ok(mut frames) = opened else { continue };
        while let Some(Ok(frame)) = soon("an event or the end", frames.next()).await {
            if let Frame::Event { event, .. } = frame {
                assert_ne!(event.cursor(), hidden, "{transport}, round {round}");
                if event.cursor() == own {
                    break;
                }
            }
        }
    }
}

/// Otherwise nothing would ever take its rights away.
#[tokio::test]
async fn a_principal_of_a_type_that_no_event_concerns_is_refused() {
    let hub = downlink::memory::hub().await.unwrap();
    let user = |_: &Event| Some(User::new("ann"));
    for (rights, status) in [
        (Rights::everything().with_principal("ann"), StatusCode::INTERNAL_SERVER_ERROR),
        (Rights::everything().with_principal(User::new("ann")), StatusCode::OK),
        (Rights::everything(), StatusCode::OK),
    ] {
        let feed = Feed::new(&hub)
            .with_authorizer(move |_: &Parts| ready(Ok(rights.clone())))
            .with_reauthorization(Reauthorization::on(Filter::everything(), user));
        let request = Request::get("/feed").header(HOST, "localhost").body(Body::empty()).unwrap();
        let response = feed.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
    }
    hub.shutdown().await;
}
