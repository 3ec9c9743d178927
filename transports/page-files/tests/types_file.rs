//! The file has the types as serde writes them, and a stale one is an error.

#![allow(dead_code, reason = "the types are only described")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use downlink_page_files::TypesFile;
use serde::Serialize;
use ts_rs::TS;

/// What happened to a flight.
#[derive(Serialize, TS)]
#[ts(optional_fields)]
enum FlightEvent {
    Departed { gate: Gate, passengers: u64 },
    Delayed { minutes: i64, reason: Option<String> },
    Landed,
}

#[derive(Serialize, TS)]
#[serde(try_from = "String")]
#[ts(type = "string")]
struct Gate(String);

mod elsewhere {
    #[derive(ts_rs::TS)]
    pub(super) struct Gate {
        number: u32,
    }
}

const EXPECTED: &str = r#"// Generated from Rust types by a test: change those, and run `GENERATE=1 cargo test types`.

/**
 * What happened to a flight.
 */
export type FlightEvent = { "Departed": { gate: Gate, passengers: number, } } | { "Delayed": { minutes: number, reason?: string, } } | "Landed";

export type Gate = string;
"#;

fn refusal(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("it must be refused");
    *panic.downcast().expect("a message")
}

#[test]
fn types_are_those_of_serde() {
    assert_eq!(TypesFile::new("").with::<FlightEvent>().to_string(), EXPECTED);
}

#[test]
fn a_missing_or_stale_file_is_an_error_that_says_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("types.gen.ts");
    let file = TypesFile::new(&path).with::<FlightEvent>();
    let missing = refusal(|| file.check());
    assert!(missing.contains("GENERATE=1 cargo test -p downlink-page-files types"), "{missing}");
    fs::write(&path, EXPECTED.replace("Departed", "Left")).unwrap();
    refusal(|| file.check());
    fs::write(&path, EXPECTED.replace('\n', "\r\n")).unwrap();
    file.check();
}

#[test]
fn two_types_of_one_name_are_an_error() {
    let message = refusal(|| drop(TypesFile::new("").with::<(Gate, elsewhere::Gate)>()));
    assert!(message.contains("two types are called Gate"), "{message}");
}
