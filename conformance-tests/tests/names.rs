//! The docs of the traits and the lists of laws name the same laws.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use downlink_conformance_tests::lists;

/// The files whose docs promise guarantees.
const PROMISES: [&str; 12] = [
    "commit/transaction.rs",
    "store/event_store.rs",
    "store/import.rs",
    "bus.rs",
    "decider/snapshot.rs",
    "projection/projection_store.rs",
    "projection/projection_handle.rs",
    "transport.rs",
    "hub/subscription.rs",
    "filter/filter.rs",
    "limits.rs",
    "live/mod.rs",
];

#[test]
fn every_law_named_in_the_docs_exists_and_every_law_is_named() {
    let promised: BTreeSet<String> = PROMISES.iter().flat_map(|file| named_in(file)).collect();
    let laws: BTreeSet<String> =
        lists::ALL.iter().flat_map(|list| list.iter()).map(ToString::to_string).collect();
    let without_law: Vec<_> = promised.difference(&laws).collect();
    assert!(
        without_law.is_empty(),
        "the docs name laws that the suite does not have: {without_law:?}"
    );
    // The laws of single transports are promised by the wire contract.
    let of_the_wire =
        lists::SSE_WIRE.iter().chain(lists::LONG_POLL_WIRE).chain(lists::WEBSOCKET_WIRE);
    let of_the_wire: BTreeSet<_> = of_the_wire.map(ToString::to_string).collect();
    let promised: BTreeSet<_> = promised.union(&of_the_wire).cloned().collect();
    let unpromised: Vec<_> = laws.difference(&promised).collect();
    assert!(unpromised.is_empty(), "the suite has laws that no docs name: {unpromised:?}");
}

/// The names in brackets, and those after the word `law`.
fn named_in(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src").join(file);
    let source =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let docs: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("///").or(line.strip_prefix("//!")))
        .collect();
    let docs = docs.join(" ");
    let brackets = docs.split("\\[").skip(1).filter_map(|rest| rest.split("\\]").next());
    let laws = docs.split("(law ").skip(1).filter_map(|rest| rest.split(')').next());
    brackets.chain(laws).flat_map(quoted).collect()
}

fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(ToOwned::to_owned)
}
