use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::rows::AnswerRows;
use super::{AnswerRow, Token};
use crate::cursor::Cursor;

/// The answer of a live query as of a cursor.
///
/// All subscribers share it, and each form of it is [rendered](Self::rendered) once.
pub struct Answer {
    token: Token,
    head: Cursor,
    key: Arc<str>,
    rows: Arc<AnswerRows>,
    rendered: OnceLock<Bytes>,
    checkpoint: OnceLock<Bytes>,
}

impl Answer {
    pub(super) fn new(cursor: Cursor, head: Cursor, key: Arc<str>, rows: Arc<AnswerRows>) -> Self {
        let token = Token { cursor, hash: rows.hash };
        let (rendered, checkpoint) = (OnceLock::new(), OnceLock::new());
        Self { token, head, key, rows, rendered, checkpoint }
    }

    /// The same rows as of a later cursor.
    pub(super) fn moved_to(&self, cursor: Cursor, head: Cursor) -> Self {
        Self::new(cursor, head, Arc::clone(&self.key), Arc::clone(&self.rows))
    }

    /// What a client holds that has this answer.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// The end of the log when the query was evaluated.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.head
    }

    /// The member of the rows that is their key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The rows, in order.
    #[must_use]
    pub fn rows(&self) -> &[AnswerRow] {
        &self.rows.rows
    }

    /// The rows as JSON, separated by commas: the inside of an array.
    #[must_use]
    pub fn rows_json(&self) -> &Bytes {
        self.rows.json()
    }

    /// The bytes that `render` makes of this answer, rendered once for all callers, which have
    /// to use the same function.
    pub fn rendered(&self, render: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.rendered.get_or_init(|| render(self)).clone()
    }

    /// As [`rendered`](Self::rendered), for those who have the rows already.
    pub fn rendered_checkpoint(&self, render: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.checkpoint.get_or_init(|| render(self)).clone()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("token", &self.token)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}
