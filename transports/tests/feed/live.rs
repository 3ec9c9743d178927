//! `GET /live/{query}`: pages, long-polls and streams.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use downlink::live::{Live, LiveError, LiveQuery, Model, Params, Rows, Scope};
use downlink::memory::MemoryProjections;
use downlink::{BoxError, Cursor, Event, Expected, Filter, Hub, NewEvent, Projection};
use downlink::{FilterItem, ProjectionHandle};
use downlink_transports::feed::{Feed, Refusal, Rights};
use http::request::Parts;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, App, Frames, empty, get, hub, request, sse};

type Gates = BTreeMap<String, String>;

/// The gate of each flight.
#[derive(Debug)]
struct GateModel;

#[async_trait]
impl Projection for GateModel {
    type Tx = Gates;

    fn name(&self) -> &'static str {
        "gates"
    }

    fn filter(&self) -> Filter {
        Filter::types(["Gate"])
    }

    async fn prepare(&self, gates: &mut Gates) -> Result<(), BoxError> {
        gates.clear();
        Ok(())
    }

    async fn apply(&self, events: &[Event], gates: &mut Gates) -> Result<(), BoxError> {
        for event in events {
            let gate = serde_json::from_slice(event.payload())?;
            gates.insert(event.stream().to_string(), gate);
        }
        Ok(())
    }
}

/// The flights that a user may see: those that begin with the user's name, if there is one.
#[derive(Debug)]
struct GateQuery;

#[async_trait]
impl LiveQuery for GateQuery {
    type Tx = Gates;
    type Principal = String;

    fn name(&self) -> &'static str {
        "gates"
    }

    fn projection(&self) -> &'static str {
        "gates"
    }

    fn key(&self) -> &'static str {
        "flight"
    }

    fn parameters(&self) -> &[&str] {
        &["gate"]
    }

    fn scope(&self, principal: Option<&String>, _: &Params) -> Result<Scope, LiveError> {
        match principal.map(String::as_str) {
            Some("") => Err(LiveError::Forbidden("you may see no gates".into())),
            name => Ok(Scope::of(&name.unwrap_or_default())?),
        }
    }

    async fn eval(
        &self,
        model: &mut Model<'_, Gates>,
        scope: &Scope,
        params: &Params,
    ) -> Result<Rows, BoxError> {
        let name: String = scope.get()?;
        let wanted = |gate: &str| params.get("gate").is_none_or(|wanted| wanted == gate);
        let rows = model.iter().filter(|(flight, gate)| flight.starts_with(&name) && wanted(gate));
        Ok(Rows::collect(rows.map(|(flight, gate)| json!({"flight": flight, "gate": gate})))?)
    }

    fn affected_by(&self, scope: &Scope, _: &Params) -> downlink::Result<Filter> {
        let name: String = scope.get()?;
        let gates = FilterItem::new().with_type("Gate")?;
        Ok(if name.is_empty() { gates } else { gates.with_stream_prefix(&name)? }.into())
    }
}

pub(crate) struct Gated {
    pub(crate) hub: Hub,
    pub(crate) gates: ProjectionHandle,
    pub(crate) live: Live,
}

impl Gated {
    pub(crate) async fn new() -> Self {
        let hub = hub().await;
        let models = MemoryProjections::new();
        let gates = hub.project(GateModel, models.clone()).start().unwrap();
        gates.wait_live().await.unwrap();
        let live = Live::builder(&hub, models).with_query(GateQuery).with_model(&gates);
        Self { live: live.start().unwrap(), hub, gates }
    }

    pub(crate) fn feed(&self) -> Feed {
        Feed::new(&self.hub).with_live(&self.live)
    }

    pub(crate) fn app(&self) -> App {
        App::of(self.feed())
    }

    /// Moves a flight to a gate, and waits until the model has it.
    pub(crate) async fn put(&self, flight: &str, gate: &str) -> Cursor {
        let event = NewEvent::json("Gate", json!(gate).to_string()).unwrap();
        let at = self.hub.append_to(flight, Expected::Any, [event]).await.unwrap().cursor;
        self.gates.wait_for(at).await.unwrap();
        at
    }
}

fn rows(frame: &serde_json::Value) -> Vec<String> {
    let rows = frame["rows"].as_array().unwrap_or_else(|| panic!("{frame}"));
    let text = |row: &serde_json::Value| {
        format!("{}@{}", row["flight"].as_str().unwrap(), row["gate"].as_str().unwrap())
    };
    rows.iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn a_page_has_the_answer_and_its_cursor() {
    let gated = Gated::new().await;
    let at = gated.put("ua1", "C71").await;
    let app = gated.app();
    let page = app.get("/live/gates").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("feed-cursor"), at.to_string());
    let frame = page.json();
    assert_eq!((&frame["frame"], &frame["key"]), (&json!("result"), &json!("flight")));
    assert_eq!(
        (&frame["cursor"], &frame["head"]),
        (&json!(at.to_string()), &json!(at.to_string()))
    );
    assert_eq!(rows(&frame), ["ua1@C71"]);
    let token = frame["token"].as_str().unwrap();
    assert_eq!(page.header("etag"), format!("W/\"{token}\""));
    let asked =
        async |etag: &str| app.ask(empty(get("/live/gates").header("if-none-match", etag))).await;
    let same = asked(&format!("\"x\", {}", page.header("etag"))).await;
    assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));
    gated.put("ua1", "C72").await;
    let other = app.ask(empty(get("/live/gates?at_least=0000000000000002-00000000"))).await;
    other.problem(410, "history-changed");
    let new = asked(page.header("etag")).await;
    assert_eq!(rows(&new.json()), ["ua1@C72"]);
    let filtered = app.get("/live/gates?gate=C71").await;
    assert_eq!(rows(&filtered.json()), [""; 0]);
    let head = app.ask(empty(request(http::Method::HEAD, "/live/gates"))).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert!(head.header("etag").starts_with("W/"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_follows_the_answer() {
    let gated = Gated::new().await;
    for n in 0..9 {
        gated.put(&format!("ua{n}"), "C71").await;
    }
    let app = gated.app();
    let response = app.send(empty(sse("/live/gates"))).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store, no-transform");
    let mut frames = Frames::of(response);
    let ready = frames.opened().await;
    assert_eq!((ready.json()["key"].as_str(), ready.id), (Some("flight"), None));
    assert!(ready.retry.is_some());
    let result = frames.expect("result").await;
    assert_eq!(result.id.as_deref(), result.json()["token"].as_str());
    assert_eq!(rows(&result.json()).len(), 9);
    let at = gated.put("ua3", "C72").await;
    let change = frames.expect("rows").await.json();
    assert_eq!(change["cursor"], at.to_string());
    assert!(result.id.unwrap().ends_with(change["base"].as_str().unwrap()));
    assert_eq!(change["put"], json!([{"flight": "ua3", "gate": "C72"}]));
    assert_eq!((&change["del"], change.get("order")), (&json!([]), None));
    let at = gated.put("ua3", "C72").await;
    let same = frames.expect("checkpoint").await;
    assert_eq!(same.json()["cursor"], at.to_string());
    // The id resumes, by the header of a browser and on another transport.
    let token = same.id.unwrap();
    let mut resumed =
        Frames::of(app.send(empty(sse("/live/gates").header("last-event-id", &token))).await);
    resumed.opened().await;
    assert_eq!(resumed.expect("checkpoint").await.id, Some(token.clone()));
    let poll = app.get(&format!("/live/gates?after={token}")).await;
    assert_eq!(poll.json()["frame"], "checkpoint");
    gated.put("ua3", "C73").await;
    let poll = app.get(&format!("/live/gates?after={token}")).await;
    assert_eq!(poll.json()["frame"], "result");
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_waits_for_another_answer() {
    let gated = Gated::new().await;
    gated.put("ua1", "C71").await;
    let app = gated.app();
    let first = app.get("/live/gates").await.json();
    let uri = format!("/live/gates?wait=20&after={}", first["token"].as_str().unwrap());
    let (poll, ()) = tokio::join!(app.get(&uri), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        gated.put("ua1", "C71").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        gated.put("ua1", "C72").await;
    });
    assert_eq!(poll.json()["key"], "flight");
    assert_ne!(poll.json()["token"], first["token"]);
    let uri = format!("/live/gates?wait=20&after={}", poll.json()["token"].as_str().unwrap());
    let began = tokio::time::Instant::now();
    let poll = app.get(&uri).await;
    assert_eq!(
        (poll.json()["frame"].as_str(), began.elapsed().as_secs()),
        (Some("checkpoint"), 20)
    );
}

#[tokio::test(start_paused = true)]
async fn reads_see_the_writes_before_them() {
    let gated = Gated::new().await;
    let app = gated.app();
    gated.gates.pause().await.unwrap();
    let event = NewEvent::json("Gate", "\"C71\"").unwrap();
    let at = gated.hub.append_to("ua1", Expected::Any, [event]).await.unwrap().cursor;
    app.get(&format!("/live/gates?at_least={at}")).await.problem(503, "model-behind");
    let uri = format!("/live/gates?at_least={at}&wait=20");
    let (page, ()) = tokio::join!(app.get(&uri), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        gated.gates.resume().await.unwrap();
    });
    assert_eq!(rows(&page.json()), ["ua1@C71"]);
    let ahead = app.get("/live/gates?at_least=00000000000000ff-00000000").await;
    ahead.problem(410, "cursor-ahead");
    app.get("/live/gates?at_least=soon").await.problem(400, "bad-cursor");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_a_problem() {
    let gated = Gated::new().await;
    let app = gated.app();
    app.get("/live/gate").await.problem(404, "not-found");
    app.get("/live/gates?gat=C71").await.problem(400, "unknown-parameter");
    app.get("/live/gates?gate=C71&gate=C72").await.problem(400, "bad-parameter");
    app.get("/live/gates?after=start").await.problem(400, "bad-cursor");
    app.get("/live/gates?heartbeat=event").await.problem(400, "unknown-parameter");
    let ahead = "00000000000000ff-00000000~0000000000000000";
    app.get(&format!("/live/gates?after={ahead}")).await.problem(410, "cursor-ahead");
    let post = app.ask(empty(request(http::Method::POST, "/live/gates"))).await;
    post.problem(405, "method-not-allowed");
    // Without live queries, there is no such path.
    let paths = App::new(&gated.hub).get("/live/gates").await.problem(404, "not-found");
    assert!(!paths["detail"].as_str().unwrap().contains("/live"));
}

async fn authorize(parts: &Parts) -> Result<Rights, Refusal> {
    let name = parts.headers.get("authorization").and_then(|name| name.to_str().ok());
    let name = name.ok_or_else(|| Refusal::unauthenticated("say who you are"))?;
    Ok(Rights::everything().with_principal(name.trim_start_matches("Bearer ").to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_client_sees_what_its_principal_may_see() {
    let gated = Gated::new().await;
    gated.put("ua1", "C71").await;
    gated.put("aa1", "D2").await;
    let app = App::of(gated.feed().with_authorizer(authorize));
    let ask = async |name: &str| -> Answer {
        app.ask(empty(get("/live/gates").header("authorization", format!("Bearer {name}")))).await
    };
    assert_eq!(rows(&ask("ua").await.json()), ["ua1@C71"]);
    assert_eq!(rows(&ask("aa").await.json()), ["aa1@D2"]);
    ask("").await.problem(403, "forbidden");
    app.get("/live/gates").await.problem(401, "unauthenticated");
}

#[tokio::test(start_paused = true)]
async fn streams_rotate_expire_and_drain_like_those_of_the_feed() {
    let gated = Gated::new().await;
    let drain = CancellationToken::new();
    let feed = gated.feed().with_shutdown(drain.clone()).with_rotation(Duration::from_secs(100));
    let app = App::of(feed);
    let mut frames = app.open("/live/gates").await;
    frames.opened().await;
    frames.expect("result").await;
    let rest = frames.rest().await;
    assert!(rest.len() > 2 && rest[..rest.len() - 1].iter().all(|block| block.name() == ":"));
    assert_eq!(rest.last().unwrap().json()["reason"], "rotate");
    let mut frames = app.open("/live/gates").await;
    drain.cancel();
    assert_eq!(frames.rest().await.last().unwrap().json()["reason"], "draining");
    let frames = app.open("/live/gates").await.rest().await;
    assert_eq!(frames[0].name(), "bye");
}
