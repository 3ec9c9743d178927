//! The parsers of the wire format against arbitrary bytes: no parser panics, and
//! accepted input keeps its meaning when it is rendered and parsed again.
//!
//! Inputs are mutations of those in `corpus/`, which has a folder per parser and a
//! file per input. Every test run tries a few thousand, and
//! `cargo test --release --test fuzz -- --ignored` a million. An input that fails
//! is printed: add it to the corpus.
//!
//! The programs in `fuzz/` search for inputs by coverage, with the same parsers
//! and the same corpus: `./check fuzz`.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod mutator;
mod parsers;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use mutator::Mutator;

const SOME: usize = 3_000;
const MANY: usize = 1_000_000;

fn corpus(parser: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(parser);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no inputs", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn try_out(name: &str, inputs: usize, parse: fn(&[u8])) {
    let corpus = corpus(name);
    let mut mutator = Mutator::new(&corpus);
    let made = std::iter::repeat_with(|| mutator.next()).take(inputs);
    for input in corpus.iter().cloned().chain(made) {
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| parse(&input))) {
            eprintln!("the parser of `{name}` fails for {:?}", String::from_utf8_lossy(&input));
            panic::resume_unwind(panic);
        }
    }
}

macro_rules! fuzz {
    ($($parser:ident)*) => {
        $(mod $parser {
            #[test]
            fn takes_some_inputs() {
                super::try_out(stringify!($parser), super::SOME, super::parsers::$parser);
            }

            #[test]
            #[ignore = "tries a million inputs"]
            fn takes_a_million_inputs() {
                super::try_out(stringify!($parser), super::MANY, super::parsers::$parser);
            }
        })*
    };
}

fuzz! { append body cursor envelope filter frame problem query stream }

#[cfg(feature = "websocket")]
fuzz! { command message }
