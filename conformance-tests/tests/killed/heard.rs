use std::collections::HashMap;

use downlink::Position;

/// What workers reported before they were killed.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The appends that were acknowledged, and the position of the last event
    /// of each.
    pub(crate) stored: HashMap<String, Position>,
    /// The last position that was reported to be in the read model.
    pub(crate) shown: Position,
}

impl Heard {
    /// Records a line.
    pub(crate) fn note(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["stored", batch, last] => drop(self.stored.insert(batch.to_owned(), position(last))),
            ["shown", last] => self.shown = self.shown.max(position(last)),
            ["opening" | "open"] => {}
            _ => panic!("a line that no worker writes: {line:?}"),
        }
    }
}

fn position(text: &str) -> Position {
    text.parse().ok().and_then(Position::new).expect("a position")
}
