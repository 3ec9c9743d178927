//! Checks of appends.

use downlink::EventId;

use super::Outcome;
use super::ensure::ensure;
use super::http::Request;
use super::limits::is_problem;
use super::streaming::{events, until_live};
use super::target::{Target, join};

pub(super) async fn appends_return_their_versions_and_cursor(target: &Target) -> Outcome {
    let stream = format!("{}place", target.prefix()?);
    let (one, two) = (EventId::now(), EventId::now());
    let body =
        format!(r#"[{{"id":"{one}","type":"A","data":1}},{{"id":"{two}","type":"B","data":2}}]"#);
    let answer = target.append(&stream, &body, "none").await?;
    let json = answer.json()?;
    ensure!(answer.status == 201, "an append was answered with {}: {json}", answer.status);
    let ids = [one, two].map(|id| id.to_string());
    let is_whole = json["stream"] == stream
        && json["first_version"] == 1
        && json["last_version"] == 2
        && json["ids"] == serde_json::json!(ids)
        && json["duplicate"] == false;
    ensure!(is_whole, "an append of two events was answered with {json}");
    ensure!(
        json["cursor"] == answer.header("feed-cursor"),
        "the header Feed-Cursor is '{}' and the body has {}",
        answer.header("feed-cursor"),
        json["cursor"]
    );
    let page = target.get(&format!("/streams/{stream}"), &["from_version=2"]).await?.json()?;
    ensure!(page["events"][0]["id"] == ids[1], "the stream from version 2 is {page}");
    Ok(())
}

pub(super) async fn a_repeat_is_a_duplicate(target: &Target) -> Outcome {
    let stream = format!("{}repeat", target.prefix()?);
    let body = format!(r#"{{"id":"{}","type":"A","data":{{}}}}"#, EventId::now());
    let first = target.append(&stream, &body, "none").await?.json()?;
    // The expectation is stale by now, but a repeat is recognized first.
    let again = target.append(&stream, &body, "none").await?;
    let json = again.json()?;
    ensure!(
        again.status == 200 && json["duplicate"] == true && json["cursor"] == first["cursor"],
        "a repeat of {first} was answered with {}: {json}",
        again.status
    );
    let other = body.replace("{}", "{\"other\":1}");
    let reused = target.append(&stream, &other, "").await?;
    is_problem("a known id with other content", &reused, 422, "id-reused")
}

pub(super) async fn a_stale_expectation_is_a_conflict(target: &Target) -> Outcome {
    let stream = format!("{}conflict", target.prefix()?);
    target.append(&stream, r#"{"type":"A","data":{}}"#, "none").await?;
    for expected in ["none", "0", "7"] {
        let answer = target.append(&stream, r#"{"type":"A","data":{}}"#, expected).await?;
        is_problem(&format!("expected={expected} at version 1"), &answer, 409, "version-conflict")?;
        let failed = &answer.json()?["failed"][0];
        ensure!(
            failed["stream"] == stream && failed["actual"] == 1,
            "a conflict does not have the actual version: {failed}"
        );
    }
    let right = target.append(&stream, r#"{"type":"A","data":{}}"#, "1").await?;
    ensure!(right.status == 201, "expected=1 at version 1 was answered with {}", right.status);
    Ok(())
}

pub(super) async fn malformed_appends_are_refused(target: &Target) -> Outcome {
    let stream = format!("{}refused", target.prefix()?);
    let path = target.path(&format!("/streams/{stream}"), &[]);
    let untyped = Request::new("POST", &path).body("{}");
    is_problem(
        "a POST without Content-Type",
        &target.ask(untyped).await?,
        415,
        "unsupported-media-type",
    )?;
    let event = r#"{"type":"A","data":{}}"#;
    let guarded = Request::new("POST", &path)
        .header("content-type", "application/json")
        .header("if-match", "*")
        .body(event);
    is_problem("If-Match", &target.ask(guarded).await?, 400, "unsupported-precondition")?;
    for body in [
        "[]",
        "{}",
        "no",
        r#"{"type":"A","data":{},"later":1}"#,
        r#"{"type":"","data":{}}"#,
        r#"[["A",{}]]"#,
        r#"{"type":"A","data":[1E400]}"#,
        r#"{"type":"A","data":{},"metadata":{"a":1E400}}"#,
    ] {
        let answer = target.append(&stream, body, "").await?;
        ensure!(answer.status == 400, "the append {body} was answered with {}", answer.status);
    }
    let gone = target.get(&format!("/streams/{stream}"), &[]).await?;
    is_problem("a stream of refused appends", &gone, 404, "stream-not-found")
}

/// Payloads that a careless encoder splits, repeats or drops, and how they are
/// written in an envelope.
fn payloads() -> Vec<(String, String)> {
    let json = [
        "{\n  \"gate\": \"C71\",\r\n\r\n  \"legs\": [ 1,\r2 ]\n}",
        "\"\\r\\n\\r\\nid: 7fffffffffffffff-00000000\\ndata: x\\n\\n\"",
        "{\"cursor\":\"7fffffffffffffff-00000000\",\"frame\":\"bye\",\"tags\":7}",
        "\"\u{2028}data: x\u{2029}\u{85}\u{1F6EB}\"",
        "[9007199254740993,0.10000000000000000555,1E300,-0]",
        "{\"gate\":\"A\",\"gate\":\"B\",\"\\u0000\":null}",
        "null",
        "\"\"",
    ];
    let json = json.map(|text| {
        let encoded = format!("\"data\":{}", text.replace(['\r', '\n'], " "));
        (format!("\"data\":{text}"), encoded)
    });
    let raw = ["", "AA0K/w==", "ZGF0YTogeA0KDQppZDogMQoKDWV2ZW50OiBmZWVkLmJ5ZQoK"].map(|text| {
        let encoded = format!("\"data_base64\":\"{text}\",\"content_type\":\"image/png\"");
        (encoded.clone(), encoded)
    });
    json.into_iter().chain(raw).collect()
}

pub(super) async fn payloads_come_back_unchanged(target: &Target) -> Outcome {
    let stream = format!("{}payloads", target.prefix()?);
    let types = ["error", "feed.bye", "data: x", "\\\"", "\u{2028}"];
    for (number, (sent, _)) in payloads().iter().enumerate() {
        let kind = types[number % types.len()];
        let answer = target.append(&stream, &format!("{{\"type\":\"{kind}\",{sent}}}"), "").await?;
        ensure!(
            answer.status == 201,
            "the payload {sent} was answered with {}: {}",
            answer.status,
            answer.body
        );
    }
    let filter = format!("stream={stream}");
    let paged = target.all(&filter, "start", 3).await?;
    let mut streamed = target.stream(&[&filter], &[]).await?;
    let streamed = events(&until_live(&mut streamed).await?);
    for (got, what) in [(paged, "pages"), (streamed, "a stream")] {
        ensure!(
            got.len() == payloads().len(),
            "{what} had {} of {} payloads",
            got.len(),
            payloads().len()
        );
        for (envelope, (_, encoded)) in got.iter().zip(payloads()) {
            ensure!(
                envelope.contains(&format!(",{encoded},\"metadata\":")),
                "{what} had {envelope:.400} instead of {encoded:.300}"
            );
        }
    }
    Ok(())
}

pub(super) async fn waiting_clients_get_new_events(target: &Target) -> Outcome {
    let stream = format!("{}waiting", target.prefix()?);
    let filter = format!("stream={stream}");
    let mut open = target.stream(&[&filter, "after=now"], &[]).await?;
    until_live(&mut open).await?;
    let body = format!(r#"{{"id":"{}","type":"A","data":{{}}}}"#, EventId::now());
    let wait = join(&[&filter, "after=now&wait=20"]);
    let (polled, appended) =
        tokio::join!(target.page(&wait), async { target.append(&stream, &body, "").await });
    let cursor = appended?.json()?["cursor"].as_str().unwrap_or_default().to_owned();
    let arrived = open.until(|text| text.contains(&format!("id: {cursor}\n"))).await?;
    ensure!(arrived.contains(&cursor), "a stream ended before the event {cursor} came");
    // The poll may have started after the append.
    let polled = polled?;
    ensure!(
        polled.events.len() <= 1 && polled.cursor >= cursor,
        "a poll that waited for {cursor} was answered with {polled:?}"
    );
    Ok(())
}
