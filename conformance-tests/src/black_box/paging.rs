//! Checks of pages.

use downlink::Cursor;

use super::ensure::ensure;
use super::http::Request;
use super::target::{Target, members};
use super::{Failure, Outcome};

/// The members of an envelope, in their order.
const MEMBERS: [&str; 9] =
    ["cursor", "id", "stream", "version", "type", "time", "data", "metadata", "tags"];

pub(super) async fn pages_follow_the_contract(target: &Target) -> Outcome {
    let answer = target.get("/feed", &[&target.filter(), "limit=5"]).await?;
    ensure!(
        answer.header("content-type").starts_with("application/json"),
        "a page has the type '{}'",
        answer.header("content-type")
    );
    let page = target.page(&format!("{}&limit=5", target.filter())).await?;
    for cursor in [&page.cursor, &page.head, answer.header("feed-cursor")] {
        ensure!(
            cursor.parse::<Cursor>().is_ok(),
            "'{cursor}' is not a cursor, or the header Feed-Cursor is missing"
        );
    }
    ensure!(page.cursor <= page.head, "the cursor {} is past the head {}", page.cursor, page.head);
    for envelope in &page.events {
        check_envelope(envelope)?;
    }
    Ok(())
}

fn check_envelope(envelope: &str) -> Outcome {
    let json = members(envelope);
    let mut place = 0;
    for name in MEMBERS {
        let binary = name == "data" && !json.contains_key("data");
        let name = if binary { "data_base64" } else { name };
        ensure!(json.contains_key(name), "an envelope has no '{name}': {envelope:.300}");
        let at = envelope[place..].find(&format!("\"{name}\":"));
        ensure!(at.is_some(), "the members of an envelope are in another order: {envelope:.300}");
        place += at.unwrap_or_default();
        if name == "data" {
            // Skip the content of the payload.
            place = envelope.rfind("\"metadata\":").unwrap_or(place);
        }
    }
    ensure!(!envelope.contains(['\r', '\n']), "an envelope is not on one line: {envelope:.300}");
    Ok(())
}

pub(super) async fn responses_are_not_cached(target: &Target) -> Outcome {
    for (route, query) in [("/feed", ""), ("/feed", "limit=0"), ("/nothing/here", "")] {
        let answer = target.get(route, &[query]).await?;
        for (name, part) in [
            ("cache-control", "no-store"),
            ("vary", "Accept"),
            ("x-content-type-options", "nosniff"),
        ] {
            ensure!(
                answer.header(name).contains(part),
                "GET {route}?{query}: the header {name} is '{}' and lacks '{part}'",
                answer.header(name)
            );
        }
    }
    Ok(())
}

pub(super) async fn head_and_options_have_no_body(target: &Target) -> Outcome {
    let path = target.path("/feed", &["limit=1"]);
    let head = target.ask(Request::new("HEAD", &path)).await?;
    ensure!(head.status == 200, "HEAD /feed was answered with {}", head.status);
    ensure!(!head.header("feed-cursor").is_empty(), "the response to HEAD lacks Feed-Cursor");
    let options = target.ask(Request::new("OPTIONS", &path)).await?;
    ensure!(
        options.status == 204 && options.header("allow").contains("GET"),
        "OPTIONS /feed was answered with {} and Allow '{}'",
        options.status,
        options.header("allow")
    );
    Ok::<(), Failure>(())
}
