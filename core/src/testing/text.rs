//! How failures are told.

use std::fmt::{Debug, Write};

/// One line for each, or what it is if there are none.
pub(super) fn lines<T: Debug>(items: &[T]) -> String {
    if items.is_empty() {
        return "    nothing\n".to_owned();
    }
    items.iter().fold(String::new(), |mut text, item| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "    {item:?}");
        text
    })
}

/// Where two lists begin to differ, in words.
pub(super) fn difference<T: Debug + PartialEq>(expected: &[T], actual: &[T]) -> String {
    let same = expected.iter().zip(actual).take_while(|(a, b)| a == b).count();
    match (expected.get(same), actual.get(same)) {
        (Some(_), Some(_)) => format!("they differ from number {} on", same + 1),
        (Some(_), None) => format!("{} of them did not happen", expected.len() - same),
        (None, Some(_)) => format!("{} more happened than that", actual.len() - same),
        (None, None) => "they are the same".to_owned(),
    }
}
