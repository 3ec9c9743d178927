use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;

use super::{Answer, AnswerRow, RowsHash, Token};

/// The difference between an answer and the one before it.
///
/// A client that holds the rows with the hash [`base`](Self::base) deletes the keys of
/// [`del`](Self::del), replaces or adds at the end the rows of [`put`](Self::put), and puts
/// all in the [`order`](Self::order), if there is one. It then holds the rows of
/// [`token`](Self::token).
pub struct Change {
    base: RowsHash,
    token: Token,
    put: Vec<AnswerRow>,
    del: Vec<Bytes>,
    order: Option<Vec<Bytes>>,
    rendered: OnceLock<Bytes>,
}

impl Change {
    /// The difference; `None` if the whole answer is smaller.
    pub(super) fn between(before: &Answer, after: &Answer) -> Option<Self> {
        let old: HashMap<_, _> = before.rows().iter().map(|row| (&row.key, &row.json)).collect();
        let new: HashSet<_> = after.rows().iter().map(|row| &row.key).collect();
        let is_put = |row: &&AnswerRow| old.get(&row.key) != Some(&&row.json);
        let put: Vec<_> = after.rows().iter().filter(is_put).cloned().collect();
        let keys = |rows: &[AnswerRow]| rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
        let (stay, gone): (Vec<_>, Vec<_>) =
            keys(before.rows()).into_iter().partition(|key| new.contains(key));
        let added = put.iter().map(|row| &row.key).filter(|key| !old.contains_key(key));
        let is_in_order = stay.iter().chain(added).eq(after.rows().iter().map(|row| &row.key));
        let change = Self {
            base: before.token().hash,
            token: after.token(),
            put,
            del: gone,
            order: (!is_in_order).then(|| keys(after.rows())),
            rendered: OnceLock::new(),
        };
        (change.len() < after.rows_json().len()).then_some(change)
    }

    /// About how many bytes of JSON it has.
    fn len(&self) -> usize {
        let keys = self.del.iter().chain(self.order.iter().flatten());
        self.put.iter().map(|row| row.json.len() + 1).sum::<usize>()
            + keys.map(|key| key.len() + 1).sum::<usize>()
    }

    /// The hash of the rows to which it has to be applied.
    #[must_use]
    pub fn base(&self) -> RowsHash {
        self.base
    }

    /// What a client holds that has applied it.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// The rows that are new or have changed, whole.
    #[must_use]
    pub fn put(&self) -> &[AnswerRow] {
        &self.put
    }

    /// The keys of the rows that are gone, as JSON.
    #[must_use]
    pub fn del(&self) -> &[Bytes] {
        &self.del
    }

    /// All keys in order, as JSON, if applying `del` and `put` leads to another order.
    #[must_use]
    pub fn order(&self) -> Option<&[Bytes]> {
        self.order.as_deref()
    }

    /// The bytes that `render` makes of this change, rendered once for all callers, which have
    /// to use the same function.
    pub fn rendered(&self, render: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.rendered.get_or_init(|| render(self)).clone()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("base", &self.base)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
