//! Law T14 on generated histories: what a user may not see when it is sent is not sent.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use downlink::{Cursor, Event, Read};
use futures::StreamExt;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION};
use http_body_util::BodyExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::company::{Process, token, visible};
use crate::support::soon;

const USERS: [&str; 2] = ["ann", "bob"];
const ROLES: [&str; 3] = ["customer", "admin", "none"];

/// How many histories are generated. Each has several requests.
const CASES: u32 = 10_000;

/// After so many histories the log begins anew, so that it stays short.
const CASES_PER_LOG: usize = 15;

#[derive(Clone, Debug)]
enum Step {
    Order { user: usize },
    Change { user: usize, role: usize },
    Read { user: usize, way: Way, after: After },
}

/// A way of reading.
#[derive(Clone, Copy, Debug)]
enum Way {
    Page,
    Poll,
    Stream,
    Replay,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Start,
    Last(usize),
    Now,
    /// The cursor of an event, by its place from the end.
    Event(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let way = prop::sample::select(vec![Way::Page, Way::Poll, Way::Stream, Way::Replay]);
    let after = prop_oneof![
        Just(After::Start),
        (1_usize..6).prop_map(After::Last),
        Just(After::Now),
        (0_usize..8).prop_map(After::Event),
    ];
    prop_oneof![
        3 => (0..2_usize).prop_map(|user| Step::Order { user }),
        2 => (0..2_usize, 0..3_usize).prop_map(|(user, role)| Step::Change { user, role }),
        5 => (0..2_usize, way, after).prop_map(|(user, way, after)| Step::Read { user, way, after }),
    ]
}

/// The log with its server, and what each user may see.
struct World {
    process: Process,
    roles: BTreeMap<&'static str, &'static str>,
    log: Vec<Event>,
    requests: u64,
    delivered: u64,
}

impl World {
    async fn new() -> Self {
        let process = Process::start().await;
        let mut world =
            Self { process, roles: BTreeMap::new(), log: Vec::new(), requests: 0, delivered: 0 };
        for user in USERS {
            world.change(user, "customer").await;
        }
        world
    }

    async fn change(&mut self, user: &'static str, role: &'static str) {
        let cursor = self.process.has_role(user, role).await;
        self.process.has_seen(cursor).await;
        self.roles.insert(user, role);
        self.load().await;
    }

    async fn load(&mut self) {
        let after = self.log.last().map_or(Cursor::START, Event::cursor);
        let page = self.process.hub.read_log(Read::log().with_after(after)).await.unwrap();
        self.log.extend(page.events);
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Order { user } => {
                let cursor = self.process.order(USERS[user]).await;
                self.process.has_seen(cursor).await;
                self.load().await;
            }
            Step::Change { user, role } => self.change(USERS[user], ROLES[role]).await,
            Step::Read { user, way, after } => self.read(USERS[user], way, after).await,
        }
    }

    /// Reads in this way, and checks that exactly what the user may see is sent.
    async fn read(&mut self, user: &'static str, way: Way, after: After) {
        let allowed = visible(user, self.roles[user]);
        let (after, from) = self.place(after, allowed.as_ref());
        let stream = self.log.last().map(|event| event.stream().to_string()).unwrap();
        let path = match way {
            Way::Page => format!("/feed?limit=1000&after={after}"),
            Way::Poll => format!("/feed?limit=1000&wait=1&after={after}"),
            Way::Stream => format!("/streams/{stream}?limit=1000"),
            Way::Replay => format!("/feed?after={after}"),
        };
        let is_stream = matches!(way, Way::Stream);
        let wanted: Vec<String> = self.log[if is_stream { 0 } else { from }..]
            .iter()
            .filter(|event| !is_stream || event.stream().as_str() == stream)
            .filter(|event| allowed.as_ref().is_some_and(|allowed| allowed.matches_event(event)))
            .map(|event| event.cursor().to_string())
            .collect();
        // A poll that has nothing to send would only take time.
        if matches!(way, Way::Poll) && wanted.is_empty() && allowed.is_some() {
            return;
        }
        let sent = ask(&self.process.router, user, &path, matches!(way, Way::Replay)).await;
        self.requests += 1;
        self.delivered += u64::try_from(sent.len()).unwrap();
        let role = self.roles[user];
        assert_eq!(sent, wanted, "{user} as {role} read {path}: the rights say otherwise");
    }

    /// The value of `after`, and the first event of the log after it. `last:n` counts
    /// what may be seen.
    fn place(&self, after: After, allowed: Option<&downlink::Filter>) -> (String, usize) {
        match after {
            After::Start => ("start".to_owned(), 0),
            After::Now => ("now".to_owned(), self.log.len()),
            After::Last(count) => {
                let is_visible =
                    |event: &Event| allowed.is_some_and(|allowed| allowed.matches_event(event));
                let visible = self.log.iter().enumerate().filter(|(_, event)| is_visible(event));
                let place = visible.map(|(place, _)| place).rev().take(count).last();
                (format!("last:{count}"), place.unwrap_or(self.log.len()))
            }
            After::Event(back) => {
                let place = self.log.len() - 1 - back.min(self.log.len() - 1);
                // A position, because a cursor may be told to load again.
                (self.log[place].position().get().to_string(), place + 1)
            }
        }
    }
}

/// The cursors of the events that this request is answered with. A refusal has none. A
/// change that was just told is repeated after.
async fn ask(router: &Router, user: &str, path: &str, is_stream: bool) -> Vec<String> {
    loop {
        if let Some(sent) = try_ask(router, user, path, is_stream).await {
            return sent;
        }
        tokio::task::yield_now().await;
    }
}

async fn try_ask(router: &Router, user: &str, path: &str, is_stream: bool) -> Option<Vec<String>> {
    let accept = if is_stream { "text/event-stream" } else { "application/json" };
    let bearer = format!("Bearer {}", token(user));
    let request = Request::builder().uri(path).header("host", "localhost").header(ACCEPT, accept);
    let request = request.header(AUTHORIZATION, bearer).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    match response.status().as_u16() {
        200 if is_stream => replayed(response.into_body().into_data_stream()).await,
        200 => {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let page: Value = serde_json::from_slice(&body).unwrap();
            Some(page["events"].as_array().unwrap().iter().map(cursor).collect())
        }
        403 | 404 => Some(Vec::new()),
        503 => None,
        status => panic!("{path} for {user} was answered with {status}"),
    }
}

fn cursor(event: &Value) -> String {
    event["cursor"].as_str().unwrap().to_owned()
}

/// The events of a stream up to `live`; `None` if it ended before.
async fn replayed(mut body: BodyDataStream) -> Option<Vec<String>> {
    let mut text = String::new();
    while !text.contains("event: feed.live") {
        let piece = soon("live", body.next()).await?.unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let blocks = text.split("\n\n").filter(|block| !block.contains("event: "));
    let data = blocks.filter_map(|block| block.split_once("data: ").map(|(_, data)| data));
    Some(data.map(|data| cursor(&serde_json::from_str(data).unwrap())).collect())
}

#[test]
fn nothing_is_sent_that_may_not_be_seen() {
    let runtime = Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(1) });
    let steps = prop::collection::vec(step(), 1..8);
    let (mut requests, mut delivered) = (0, 0);
    for first in (0..CASES).step_by(CASES_PER_LOG) {
        runtime.block_on(async {
            let mut world = World::new().await;
            for _ in first..CASES.min(first + u32::try_from(CASES_PER_LOG).unwrap()) {
                let steps = steps.new_tree(&mut runner).unwrap().current();
                for step in &steps {
                    world.step(step).await;
                }
            }
            requests += world.requests;
            delivered += world.delivered;
        });
    }
    println!("{CASES} histories, {requests} requests, {delivered} events, none that was foreign");
    assert!(requests > u64::from(CASES) && delivered > u64::from(CASES));
}
