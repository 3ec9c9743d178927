//! Checks of refusals.

use super::Outcome;
use super::ensure::ensure;
use super::http::{Answer, Request};
use super::target::Target;

/// Checks that this is a problem document as the contract specifies it.
pub(super) fn is_problem(what: &str, answer: &Answer, status: u16, code: &str) -> Outcome {
    let found = answer.json()?;
    ensure!(
        answer.status == status && found["code"] == code,
        "{what} has to be refused with {status} `{code}`, and was answered with {}: {:.300}",
        answer.status,
        answer.body
    );
    ensure!(
        answer.header("content-type").starts_with("application/problem+json"),
        "{what}: the refusal has the type '{}'",
        answer.header("content-type")
    );
    let is_whole = found["type"] == format!("urn:downlink:problem:{code}")
        && found["status"] == status
        && found["title"].is_string()
        && found["detail"].as_str().is_some_and(|detail| !detail.is_empty())
        && found["retryable"].is_boolean();
    ensure!(is_whole, "{what}: the refusal lacks a member: {:.300}", answer.body);
    Ok(())
}

async fn refuses(target: &Target, query: &str, status: u16, code: &str) -> Outcome {
    let answer = target.get("/feed", &[query]).await?;
    is_problem(&format!("GET /feed?{query}"), &answer, status, code)
}

pub(super) async fn unknown_parameters_are_refused(target: &Target) -> Outcome {
    for query in ["strem=flight-UA1545", "Limit=1", "heartbeat=event", "from_version=1"] {
        refuses(target, query, 400, "unknown-parameter").await?;
    }
    Ok(())
}

pub(super) async fn malformed_parameters_are_refused(target: &Target) -> Outcome {
    for query in ["limit=0", "limit=x", "limit=-1", "limit=", "wait=soon", "wait=-1"] {
        refuses(target, query, 400, "bad-parameter").await?;
    }
    for query in ["stream=", "type=", "tag=", "type_prefix=", "stream=%ff"] {
        refuses(target, query, 400, "bad-filter").await?;
    }
    Ok(())
}

pub(super) async fn malformed_cursors_are_refused(target: &Target) -> Outcome {
    for query in [
        "after=",
        "after=x",
        "after=-1",
        "after=last:x",
        "after=last:1001",
        "after=start&after=start",
        "after=000000000000000A-9C41D07E",
        "after=8000000000000000-00000000",
        "after=99999999999999999999",
        "lastEventId=now",
    ] {
        refuses(target, query, 400, "bad-cursor").await?;
    }
    let path = target.path("/feed", &["after=start"]);
    for id in ["x", "now", "7", "000000000000000A-9C41D07E"] {
        let answer = target.ask(Request::new("GET", &path).header("last-event-id", id)).await?;
        is_problem(&format!("Last-Event-ID: {id} with after=start"), &answer, 400, "bad-cursor")?;
    }
    Ok(())
}

pub(super) async fn unknown_paths_and_methods_are_problems(target: &Target) -> Outcome {
    let nothing = target.get("/feed/nothing/here", &[]).await?;
    is_problem("GET /feed/nothing/here", &nothing, 404, "not-found")?;
    let none = target.get("/streams/check-no-such-stream", &[]).await?;
    is_problem("GET /streams/check-no-such-stream", &none, 404, "stream-not-found")?;
    let path = target.path("/feed", &[]);
    let delete = target.ask(Request::new("DELETE", &path)).await?;
    is_problem("DELETE /feed", &delete, 405, "method-not-allowed")?;
    ensure!(delete.header("allow").contains("GET"), "a 405 lacks Allow");
    Ok(())
}

pub(super) async fn cursors_past_the_end_are_gone(target: &Target) -> Outcome {
    let far = "7fffffffffffffff-00000001";
    refuses(target, &format!("after={far}"), 410, "cursor-ahead").await?;
    let path = target.path("/feed", &[]);
    let stream = Request::new("GET", &path).header("accept", "text/event-stream");
    let answer = target.ask(stream.header("last-event-id", far)).await?;
    is_problem("a stream that resumes past the end", &answer, 410, "cursor-ahead")?;
    let filter = target.filter();
    let page = target.page(&super::target::join(&[&filter, "limit=1"])).await?;
    if let Some(event) = page.events.first() {
        let cursor = super::target::member(event, "cursor");
        let last = if cursor.ends_with('0') { '1' } else { '0' };
        let other = format!("{}{last}", &cursor[..cursor.len() - 1]);
        refuses(target, &format!("after={other}"), 410, "history-changed").await?;
    }
    Ok(())
}
