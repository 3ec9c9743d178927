use super::*;

fn event() -> NewEvent {
    NewEvent::json("FlightDeparted", "{}").unwrap()
}

#[test]
fn payloads_are_limited_at_n_minus_one_n_and_n_plus_one() {
    let binary = ContentType::new("application/octet-stream").unwrap();
    let of = |n| NewEvent::bytes("Photo", binary.clone(), vec![0; n]).map(|_| ());
    assert!(of(limits::MAX_PAYLOAD_BYTES - 1).is_ok());
    assert!(of(limits::MAX_PAYLOAD_BYTES).is_ok());
    assert_eq!(of(limits::MAX_PAYLOAD_BYTES + 1).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn metadata_is_limited_at_n_minus_one_n_and_n_plus_one() {
    let of = |n: usize| {
        let filler = "x".repeat(n - r#"{"a":""}"#.len());
        event().with_metadata_json(format!(r#"{{"a":"{filler}"}}"#)).map(|_| ())
    };
    assert!(of(limits::MAX_METADATA_BYTES - 1).is_ok());
    assert!(of(limits::MAX_METADATA_BYTES).is_ok());
    assert_eq!(of(limits::MAX_METADATA_BYTES + 1).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn tags_are_limited_at_n_minus_one_n_and_n_plus_one() {
    let of = |n: usize| {
        (0..n).try_fold(event(), |event, i| event.with_tag(format!("gate:{i}"))).map(|_| ())
    };
    assert!(of(limits::MAX_TAGS - 1).is_ok());
    assert!(of(limits::MAX_TAGS).is_ok());
    assert_eq!(of(limits::MAX_TAGS + 1).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn a_too_large_error_states_the_size_and_the_limit() {
    let metadata = format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::MAX_METADATA_BYTES));
    let error = event().with_metadata_json(metadata).unwrap_err();
    assert_eq!(error.to_string(), "the metadata has 65544 bytes: the limit is 65536");
    assert_eq!(error.limit(), Some(limits::MAX_METADATA_BYTES));
    let full = (0..limits::MAX_TAGS).try_fold(event(), |event, _| event.with_tag("x"));
    let error = full.unwrap().with_tag("x").unwrap_err();
    assert_eq!(error.to_string(), "the event has 65 tags: the limit is 64");
    assert_eq!(error.limit(), Some(limits::MAX_TAGS));
}

#[test]
fn invalid_json_is_refused_when_the_event_is_made() {
    assert_eq!(NewEvent::json("X", "{").unwrap_err().kind(), ErrorKind::Invalid);
    let labelled = NewEvent::bytes("X", ContentType::JSON, "{");
    assert_eq!(labelled.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_retry_needs_the_same_bytes_not_the_same_json_value() {
    use crate::memory::MemoryStore;
    use crate::store::{EventStoreExt, Expected};

    let store = MemoryStore::new();
    let of = |payload: &'static str| NewEvent::json("FlightDelayed", payload).unwrap();
    let first = of(r#"{"minutes":20,"reason":"fog"}"#);
    store.append_to("s", Expected::Any, [first.clone()]).await.unwrap();
    assert!(store.append_to("s", Expected::Any, [first.clone()]).await.unwrap().duplicate);
    for payload in [
        r#"{"reason":"fog","minutes":20}"#,
        r#"{"minutes": 20, "reason": "fog"}"#,
        r#"{"minutes":2e1,"reason":"fog"}"#,
    ] {
        let retry = of(payload).with_id(first.id());
        assert!(!first.has_same_content(&retry));
        let error = store.append_to("s", Expected::Any, [retry]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IdReused);
        assert!(error.to_string().contains("with the same bytes"), "{error}");
    }
}

#[test]
fn a_retry_may_have_other_metadata() {
    let first = event();
    let retry = first.clone().with_metadata(&serde_json::json!({"trace": 2})).unwrap();
    assert!(first.has_same_content(&retry));
    assert!(!first.has_same_content(&first.clone().with_tag("late").unwrap()));
}
