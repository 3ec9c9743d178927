use proptest::prelude::*;

use super::*;

fn query(text: &str) -> Result<Filter, Problem> {
    filter_of_query(&Query::parse(Some(text), &GROUPS, &[])?)
}

fn parameter(problem: &Problem) -> String {
    let value: Value = serde_json::from_str(&problem.to_json()).unwrap();
    value["parameter"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_groups_are_those_of_the_contract() {
    let text = "stream=a&stream_prefix=b&type=c&type_prefix=d&not_type=e&tag=f&tag=g&stream=h";
    let expected = FilterItem::new()
        .with_stream("a")
        .and_then(|item| item.with_stream("h"))
        .and_then(|item| item.with_stream_prefix("b"))
        .and_then(|item| item.with_type("c"))
        .and_then(|item| item.with_type_prefix("d"))
        .and_then(|item| item.without_type("e"))
        .and_then(|item| item.with_tag("f"))
        .and_then(|item| item.with_tag("g"))
        .unwrap();
    assert_eq!(query(text).unwrap(), Filter::from(expected.clone()));
    let json = r#"{"stream":["a","h"],"stream_prefix":["b"],"type":["c"],"type_prefix":["d"],"not_type":["e"],"tag":["f","g"]}"#;
    assert_eq!(filter_of_json(json).unwrap(), expected.into());
}

#[test]
fn an_empty_value_is_refused_with_its_name() {
    for group in GROUPS {
        let problem = query(&format!("{group}=")).unwrap_err();
        assert_eq!(problem.code(), Code::BadFilter);
        assert_eq!(parameter(&problem), group);
        assert!(filter_of_json(&format!(r#"{{"{group}":[""]}}"#)).is_err());
    }
    let problem = query("stream=").unwrap_err();
    assert_eq!(problem.detail(), "'stream' is empty: leave it out or name a stream");
    assert!(query("").unwrap().is_everything());
}

#[test]
fn values_and_bytes_are_limited_at_n_minus_one_n_and_n_plus_one() {
    let of = |count: usize| query(&vec!["tag=x"; count].join("&")).map_err(|p| p.code());
    assert!(of(63).is_ok());
    assert!(of(64).is_ok());
    assert_eq!(of(65), Err(Code::BadFilter));
    // 32 values of 255 bytes are 8,160; one more of 31, 32 and 33.
    let of = |last: usize| {
        let mut values = vec![format!("tag={}", "x".repeat(255)); 32];
        values.push(format!("tag={}", "y".repeat(last)));
        query(&values.join("&")).map_err(|p| p.code())
    };
    assert!(of(31).is_ok());
    assert!(of(32).is_ok());
    assert_eq!(of(33), Err(Code::BadFilter));
}

#[test]
fn invalid_names_are_refused() {
    let long = "x".repeat(256);
    for value in ["a%0Ab", "%00", ".", "..", &long] {
        assert_eq!(query(&format!("stream={value}")).unwrap_err().code(), Code::BadFilter);
    }
}

#[test]
fn alternatives_are_any_of_their_items() {
    let filter = filter_of_json(r#"{"any":[{"stream":["a"]},{"tag":["b"]}]}"#).unwrap();
    assert_eq!(filter.queries()[0].len(), 2);
    assert!(filter_of_json(r#"{"any":[{"stream":["a"]},{}]}"#).unwrap().is_everything());
    for bad in [
        r#"{"any":[]}"#,
        r#"{"any":[{"stream":["a"]}],"tag":["b"]}"#,
        r#"{"any":[{"any":[{}]}]}"#,
        r#"{"strem":["a"]}"#,
        r#"{"stream":"a"}"#,
        r#"{"stream":[7]}"#,
        r#"{"stream":["a"],"stream":["b"]}"#,
        r#"{"stream":null}"#,
        "[]",
        r#"{"any":[[]]}"#,
        r#"{"any":null}"#,
        "[[{}]]",
        "null",
        "",
        "{",
    ] {
        assert_eq!(filter_of_json(bad).unwrap_err().code(), Code::BadFilter, "{bad}");
    }
}

#[test]
fn an_empty_list_is_refused_everywhere() {
    for group in GROUPS {
        for json in [
            format!(r#"{{"{group}":[]}}"#),
            format!(r#"{{"any":[{{"{group}":[]}}]}}"#),
            format!(r#"{{"any":[{{"stream_prefix":["a"]}},{{"{group}":[]}}]}}"#),
        ] {
            let problem = filter_of_json(&json).unwrap_err();
            assert_eq!(problem.code(), Code::BadFilter, "{json}");
            assert!(problem.detail().contains(&format!("'{group}' is an empty list")), "{json}");
        }
    }
    let problem = filter_of_json(r#"{"any":[{"stream":["a"]}],"tag":[]}"#).unwrap_err();
    assert!(problem.detail().contains("'any' cannot be combined with other members"));
}

fn any_item() -> impl Strategy<Value = FilterItem> {
    let name = "[^\\p{Cc}]{1,8}".prop_filter("URLs", |name| name != "." && name != "..");
    let pairs = prop::collection::vec((0..GROUPS.len(), name), 1..8);
    pairs.prop_map(|pairs| {
        pairs.into_iter().fold(FilterItem::new(), |item, (group, value)| {
            with(item, GROUPS[group], &value).unwrap()
        })
    })
}

/// Patterns of a group in the order in which the wire writes them.
fn sorted(item: &FilterItem) -> FilterItem {
    let values = values(item).into_iter();
    let pairs =
        values.flat_map(|(group, values)| values.into_iter().map(move |value| (group, value)));
    pairs.fold(FilterItem::new(), |item, (group, value)| with(item, group, value).unwrap())
}

proptest! {
    #[test]
    fn a_query_round_trips(item in any_item()) {
        let filter = Filter::from(sorted(&item));
        prop_assert_eq!(query(&filter_to_query(&filter).unwrap()).unwrap(), filter);
    }

    #[test]
    fn json_round_trips(items in prop::collection::vec(any_item(), 1..4)) {
        let filter = Filter::any_of(items.iter().map(sorted)).unwrap();
        prop_assert_eq!(filter_of_json(&filter_to_json(&filter).unwrap()).unwrap(), filter);
    }

    #[test]
    fn parsing_never_panics(text in ".{0,60}|[{}\\[\\]\",:a-z]{0,60}") {
        let _ = (query(&text), filter_of_json(&text));
    }
}

#[test]
fn filters_that_the_wire_format_cannot_express_are_none() {
    let item = |tag| Filter::from(FilterItem::new().with_tag(tag).unwrap());
    let both = item("a").and(&item("b")).unwrap();
    assert_eq!((filter_to_query(&both), filter_to_json(&both)), (None, None));
    assert_eq!(filter_to_json(&Filter::nothing()), None);
    assert_eq!(filter_to_query(&Filter::nothing()), None);
    let any = filter_of_json(r#"{"any":[{"tag":["a"]},{"tag":["b"]}]}"#).unwrap();
    assert_eq!(filter_to_query(&any), None);
    assert_eq!(filter_to_query(&Filter::everything()).as_deref(), Some(""));
    assert_eq!(filter_to_json(&Filter::everything()).as_deref(), Some("{}"));
}
