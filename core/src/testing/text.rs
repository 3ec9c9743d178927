//! The text of test failures.

use std::fmt::{Debug, Write};

/// One line for each item, or `nothing` if there are none.
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

/// Describes where two lists begin to differ.
pub(super) fn difference<T: Debug + PartialEq>(expected: &[T], actual: &[T]) -> String {
    let same = expected.iter().zip(actual).take_while(|(a, b)| a == b).count();
    match (expected.get(same), actual.get(same)) {
        (Some(_), Some(_)) => format!("they differ from number {} on", same + 1),
        (Some(_), None) => format!("{} expected events did not happen", expected.len() - same),
        (None, Some(_)) => format!("{} more events happened", actual.len() - same),
        (None, None) => "they are the same".to_owned(),
    }
}
