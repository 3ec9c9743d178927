use std::collections::BTreeMap;

use super::*;

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype(u8);

#[derive(Serialize)]
struct Tuple(u8, u8);

#[derive(Serialize)]
struct Named {
    gate: &'static str,
}

#[derive(Serialize)]
struct Wrapped(External);

#[derive(Clone, Serialize)]
enum External {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    #[serde(rename = "gate.named")]
    Named {
        gate: &'static str,
    },
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Internal {
    Unit,
    Named { gate: &'static str },
}

#[derive(Serialize)]
#[serde(tag = "type", content = "data")]
enum Adjacent {
    Unit,
    Newtype(u8),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Untagged {
    Unit,
    Newtype(u8),
    Named { gate: &'static str },
}

#[test]
fn every_variant_of_an_externally_tagged_enum_is_a_variant() {
    let gate = "C71";
    for (variant, name) in [
        (External::Unit, "Unit"),
        (External::Newtype(1), "Newtype"),
        (External::Tuple(1, 2), "Tuple"),
        (External::Named { gate }, "gate.named"),
    ] {
        assert_eq!(Shape::of(&variant), Shape::Variant(name));
        assert_eq!(Shape::of(&Box::new(&variant)), Shape::Variant(name), "by reference");
    }
}

#[test]
fn nothing_else_is_a_variant() {
    let gate = "C71";
    let others: Vec<Shape> = vec![
        Shape::of(&Unit),
        Shape::of(&Newtype(1)),
        Shape::of(&Tuple(1, 2)),
        Shape::of(&Named { gate }),
        Shape::of(&Wrapped(External::Unit)),
        Shape::of(&Some(External::Unit)),
        Shape::of(&None::<External>),
        Shape::of(&vec![External::Unit]),
        Shape::of(&[External::Unit, External::Unit]),
        Shape::of(&(External::Unit, 1)),
        Shape::of(&BTreeMap::from([("FlightDeparted", 1)])),
        Shape::of(&Internal::Unit),
        Shape::of(&Internal::Named { gate }),
        Shape::of(&Adjacent::Unit),
        Shape::of(&Adjacent::Newtype(1)),
        Shape::of(&Untagged::Unit),
        Shape::of(&Untagged::Newtype(1)),
        Shape::of(&Untagged::Named { gate }),
        Shape::of(&serde_json::json!({"FlightDeparted": {}})),
        Shape::of(&serde_json::json!("FlightDeparted")),
        Shape::of("FlightDeparted"),
        Shape::of(&'F'),
        Shape::of(&true),
        Shape::of(&1_u8),
        Shape::of(&1_i128),
        Shape::of(&1.5),
        Shape::of(&()),
    ];
    for shape in others {
        assert!(matches!(shape, Shape::Other(_)), "{shape:?}");
    }
}
