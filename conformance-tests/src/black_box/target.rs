use std::collections::HashMap;

use downlink::EventId;
use serde_json::value::RawValue;

use super::Failure;
use super::ensure::ensure;
use super::http::{Answer, Exchange, Request};

/// The server, and what the checks know about it.
#[derive(Debug)]
pub(super) struct Target {
    address: String,
    host: String,
    path: String,
    /// The prefix of the streams that this run writes; `None` if the server
    /// does not accept appends.
    prefix: Option<String>,
}

/// A page of the feed.
#[derive(Debug)]
pub(super) struct Page {
    /// The envelopes, byte for byte.
    pub(super) events: Vec<String>,
    pub(super) cursor: String,
    pub(super) head: String,
    pub(super) more: bool,
}

/// How many events are appended before the checks, if the server accepts
/// appends.
const EVENTS: usize = 12;

impl Target {
    /// Checks that there is a feed, and writes some events if it accepts them.
    pub(super) async fn reach(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://");
        let rest = rest.ok_or_else(|| {
            format!("'{url}' is not a valid URL: use one like http://127.0.0.1:3000")
        })?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let has_port = host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
        let mut target = Self {
            address: if has_port { host.to_owned() } else { format!("{host}:80") },
            host: host.to_owned(),
            path: format!("/{path}").trim_end_matches('/').to_owned(),
            prefix: None,
        };
        target.page("limit=1").await.map_err(|trouble| match trouble {
            Failure::Wrong(why) | Failure::Skipped(why) => format!("no feed at {url}: {why}"),
        })?;
        let prefix = format!("check-{}-", EventId::now());
        let first = target.append(&format!("{prefix}flight-0"), &event(0), "").await?;
        if first.status == 201 {
            for number in 1..EVENTS {
                let stream = format!("{prefix}flight-{}", number % 3);
                target.append(&stream, &event(number), "").await?;
            }
            target.prefix = Some(prefix);
        }
        Ok(target)
    }

    /// The prefix of the streams of this run.
    pub(super) fn prefix(&self) -> Result<&str, Failure> {
        let why = "the server does not accept appends";
        self.prefix.as_deref().ok_or_else(|| Failure::Skipped(why.to_owned()))
    }

    /// A filter for the events of this run, if there are any: others may write
    /// to the log, too.
    pub(super) fn filter(&self) -> String {
        self.prefix.as_ref().map_or(String::new(), |prefix| format!("stream_prefix={prefix}"))
    }

    /// The path of a route with these parameters.
    pub(super) fn path(&self, route: &str, parameters: &[&str]) -> String {
        let given: Vec<_> = parameters.iter().filter(|given| !given.is_empty()).copied().collect();
        let mark = if given.is_empty() { "" } else { "?" };
        format!("{}{route}{mark}{}", self.path, given.join("&"))
    }

    pub(super) async fn open(&self, request: &Request<'_>) -> Result<Exchange, String> {
        Exchange::ask(&self.address, &self.host, request).await
    }

    pub(super) async fn ask(&self, request: Request<'_>) -> Result<Answer, String> {
        let has_body = request.method != "HEAD";
        let exchange = self.open(&request.header("connection", "close")).await?;
        let has_body = has_body && !matches!(exchange.status, 204 | 304);
        exchange.whole(has_body).await
    }

    pub(super) async fn get(&self, route: &str, parameters: &[&str]) -> Result<Answer, String> {
        self.ask(Request::new("GET", &self.path(route, parameters))).await
    }

    /// A page of the feed with these parameters.
    pub(super) async fn page(&self, parameters: &str) -> Result<Page, Failure> {
        let answer = self.get("/feed", &[parameters]).await?;
        ensure!(
            answer.status == 200,
            "GET /feed?{parameters} was answered with {}: {:.300}",
            answer.status,
            answer.body
        );
        read(&answer.body)
    }

    /// All events after this cursor that match, page after page.
    pub(super) async fn all(
        &self,
        filter: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, Failure> {
        let (mut events, mut cursor) = (Vec::new(), after.to_owned());
        loop {
            let page =
                self.page(&join(&[filter, &format!("after={cursor}&limit={limit}")])).await?;
            ensure!(page.events.len() <= limit, "a page has more events than its limit of {limit}");
            ensure!(
                !page.more || page.cursor != cursor,
                "a page that is not the last did not advance beyond {cursor}"
            );
            events.extend(page.events);
            if !page.more || events.len() > 2_000 {
                return Ok(events);
            }
            cursor = page.cursor;
        }
    }

    pub(super) async fn append(
        &self,
        stream: &str,
        events: &str,
        expected: &str,
    ) -> Result<Answer, String> {
        let expected =
            if expected.is_empty() { String::new() } else { format!("expected={expected}") };
        let path = self.path(&format!("/streams/{stream}"), &[&expected]);
        let post = Request::new("POST", &path).header("content-type", "application/json");
        self.ask(post.body(events)).await
    }

    /// A stream of the feed with these parameters.
    pub(super) async fn stream(
        &self,
        parameters: &[&str],
        headers: &[(&str, &str)],
    ) -> Result<Exchange, Failure> {
        let path = self.path("/feed", parameters);
        let mut request = Request::new("GET", &path).header("accept", "text/event-stream");
        request.headers.extend(headers);
        let stream = self.open(&request).await?;
        ensure!(stream.status == 200, "GET {path} as a stream was answered with {}", stream.status);
        Ok(stream)
    }
}

pub(super) fn join(parameters: &[&str]) -> String {
    let given: Vec<_> = parameters.iter().filter(|given| !given.is_empty()).copied().collect();
    given.join("&")
}

fn event(number: usize) -> String {
    let kind = if number.is_multiple_of(3) { "FlightDeparted" } else { "FlightDelayed" };
    format!(r#"{{"id":"{}","type":"{kind}","data":{{"leg":{number}}}}}"#, EventId::now())
}

/// Parses a page, and keeps the bytes of its envelopes.
fn read(body: &str) -> Result<Page, Failure> {
    let wrong = || Failure::Wrong(format!("this is not a page: {body:.300}"));
    let more = members(body).get("more").map(|more| more.get()).unwrap_or_default();
    ensure!(matches!(more, "true" | "false"), "a page has no `more`: {body:.300}");
    Ok(Page {
        events: envelopes(body).ok_or_else(wrong)?,
        cursor: member(body, "cursor"),
        head: member(body, "head"),
        more: more == "true",
    })
}

/// The members of an object, byte for byte: payloads may contain what a parser
/// cannot represent, such as numbers of any size.
pub(super) fn members(json: &str) -> HashMap<String, &RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}

/// The envelopes of a page or a message, byte for byte.
pub(super) fn envelopes(json: &str) -> Option<Vec<String>> {
    let events: Vec<&RawValue> = serde_json::from_str(members(json).get("events")?.get()).ok()?;
    Some(events.into_iter().map(|event| event.get().to_owned()).collect())
}

/// The text of a member; empty if it does not exist or is not a string.
pub(super) fn member(json: &str, name: &str) -> String {
    let text = members(json).get(name).and_then(|text| serde_json::from_str(text.get()).ok());
    text.unwrap_or_default()
}
