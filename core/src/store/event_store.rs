use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::commit::Commits;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::store::{Append, Appended, Page, ReadLog, ReadStream};

/// A durable, append-only log of events, divided into streams.
///
/// This trait is what a backend implements and nothing more. Conveniences for
/// callers live in [`EventStoreExt`](crate::EventStoreExt).
///
/// # Contract
///
/// Every store keeps these promises, and the conformance suite holds it to
/// them; the names in brackets are its laws.
///
/// *Appends*
///
/// 1. **Optimistic concurrency.** An expectation holds at one instant between
///    call and return, or the append is a [`Conflict`] that lists every failed
///    check with the actual version, and nothing is written
///    \[`expectations_hold_or_conflict`\].
/// 2. **Dense versions.** A stream's events are numbered 1, 2, 3, … in the
///    order of the batch \[`versions_are_dense`\].
/// 3. **All or nothing,** over several streams and checks
///    \[`append_is_atomic`\].
/// 4. **One winner.** Of racing appends that expect the same version exactly
///    one succeeds \[`one_writer_wins`\]; appends that expect nothing all
///    succeed, and no two batches interleave \[`racing_batches_stay_whole`\].
///    Whatever is appended at once, there is an order of it in which everybody
///    had the outcome that they were told \[`racing_appends_have_an_order`\].
/// 5. **Idempotency by event id, for ever.** An append whose ids are all
///    stored already, write by write in the same stream, at consecutive
///    versions, in the same order and with the same content, is a duplicate:
///    nothing is written, expectations are not evaluated, and the original
///    places come back \[`a_repeat_is_a_duplicate`\]. Content is stream, type,
///    content type, payload bytes and tags, not metadata: a retry sends the same
///    bytes, and JSON that was serialised anew may be other content.
/// 6. Any other use of a known id is [`IdReused`], whatever is expected, and
///    nothing is written \[`a_known_id_with_other_content_is_refused`\].
/// 7. **Exact bytes.** Payload, metadata, names and tags come back as they
///    were given \[`stored_bytes_are_exact`\].
/// 8. **Boundaries.** [`Check`](crate::Check)s on what is not written hold
///    under races too \[`checks_hold_under_races`\]. A boundary's cursor past
///    the head is [`CursorAhead`], one of another history [`HistoryChanged`].
/// 9. **Limits** are typed errors before anything is written
///    \[`limits_are_typed_errors`\], and so is a full queue
///    \[`a_full_queue_is_overloaded`\].
/// 10. **The innocent are spared.** An append that fails does not fail others
///     that were committed with it \[`a_failing_append_fails_alone`\].
///
/// *Order*
///
/// 11. **Commit order.** Positions are unique and rise in the order of the
///     log; an append that begins after another was acknowledged gets higher
///     ones \[`positions_rise_in_commit_order`\].
/// 12. **No late arrivals.** Once a read returned an event or a head, nothing
///     appears at or below it that was not visible to every read begun later
///     \[`nothing_appears_below_the_head`\].
/// 13. **One sequence.** Every reader sees prefixes of one sequence, and the
///     order within a stream agrees with it \[`readers_see_prefixes_of_one_sequence`\].
/// 14. **No position twice** in one history \[`no_position_is_used_twice`\].
/// 15. **Read your writes** through one handle, and never less than read
///     before \[`reads_see_what_was_acknowledged`\].
/// 16. `recorded_at` never decreases along the log
///     \[`recorded_times_never_decrease`\].
///
/// *Pages*
///
/// 17. **Any page size gives the same concatenation;** backwards is the
///     reverse; a limit of 0 reads nothing \[`pages_concatenate`\].
/// 18. [`Page::scanned`] skips nothing and comes from the page's snapshot;
///     pages keep their bounds \[`scanned_skips_nothing`\].
/// 19. **Other histories are told.** A read that resumes past the head is
///     [`CursorAhead`]; one whose cursor names another event is
///     [`HistoryChanged`], in the snapshot of the page
///     \[`a_cursor_of_another_history_is_refused`\].
/// 20. **Filters** select exactly what [`Filter::matches`](crate::Filter::matches)
///     does \[`filters_select_what_they_match`\].
///
/// *Together*
///
/// 21. **Contention is the store's.** However many append and read at once in
///     one process, none of them is told of a lock, and each gets at least a
///     quarter of its share \[`contention_reaches_no_caller`\].
/// 22. Whatever is appended, repeated and read, in whatever order, the answers
///     are those of the suite's model \[`agrees_with_the_model`\].
///
/// *If the store tells its commits*
///
/// 23. **Only what is stored is told,** after the commit and in its order: the
///     events of a notice are those that a read after its `from` returns, to the
///     byte, from when the notice comes \[`notified_commits_are_stored`\]; an append
///     that fails is not told, also if others of its group are
///     \[`a_failed_append_is_not_notified`\].
/// 24. **What is stored is told,** by its events or by a hint, and a follower
///     that takes no notices costs no more than a bounded memory
///     \[`stored_commits_are_notified`\].
///
/// *If the log outlives the store*
///
/// 25. What was acknowledged is there when the store is opened again
///     \[`reopening_keeps_the_log`\], ids are still known
///     \[`ids_are_known_after_reopening`\], and positions go on
///     \[`positions_continue_after_reopening`\].
///
/// *If the log can be replaced under the store*
///
/// 26. Old cursors are refused \[`a_restored_log_refuses_old_cursors`\],
///     nothing is remembered of events that are gone
///     \[`a_restore_invalidates_caches`\], and subscriptions are told
///     \[`a_running_subscription_reports_a_restore`\].
///
/// *If several processes share the log*
///
/// 27. Whoever else has it open, by another handle or driver or in another
///     process, sees what is appended and may append
///     \[`processes_share_one_log`\], and of all of them exactly one wins each
///     version \[`one_process_wins_each_version`\]. Hubs deliver the same,
///     whichever of them is told what \[`two_stores_of_one_log_agree`\].
/// 28. **They take turns.** Of those that append without a pause each gets its
///     share, and none is told of a lock \[`processes_take_turns`\]. A program
///     that takes no turns and holds the lock past the store's deadline makes
///     an append [`Busy`] \[`a_lock_held_past_the_deadline_is_busy`\].
///
/// # Clones and handles
///
/// A store is a handle. Where one is `Clone`, the clones share the same log.
///
/// # Cancel safety
///
/// Dropping the future of [`append`](Self::append) leaves all of its events
/// stored or none, and nothing half open; repeat it with the same ids to find
/// out and to be sure \[`a_dropped_append_is_all_or_nothing`\]. The other
/// methods have no effects and may be dropped at any time.
///
/// [`Conflict`]: crate::ErrorKind::Conflict
/// [`IdReused`]: crate::ErrorKind::IdReused
/// [`Busy`]: crate::ErrorKind::Busy
/// [`CursorAhead`]: crate::ErrorKind::CursorAhead
/// [`HistoryChanged`]: crate::ErrorKind::HistoryChanged
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// Stores an append, all or nothing. When this returns `Ok`, the events
    /// survive as the backend documents it, and every read begun later sees
    /// them.
    ///
    /// # Errors
    ///
    /// Nothing was written after any of these, except for the last:
    ///
    /// - [`Conflict`](crate::ErrorKind::Conflict) if an expectation or a check failed;
    /// - [`IdReused`](crate::ErrorKind::IdReused) if an id is known for another event;
    /// - [`Invalid`](crate::ErrorKind::Invalid) and [`TooLarge`](crate::ErrorKind::TooLarge)
    ///   as in [`Append::validate`];
    /// - [`CursorAhead`](crate::ErrorKind::CursorAhead) and
    ///   [`HistoryChanged`](crate::ErrorKind::HistoryChanged) for a boundary's cursor that is
    ///   not of this log;
    /// - [`Overloaded`](crate::ErrorKind::Overloaded), [`Busy`](crate::ErrorKind::Busy),
    ///   [`StorageFull`](crate::ErrorKind::StorageFull) and
    ///   [`Unavailable`](crate::ErrorKind::Unavailable), after which it may be repeated;
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) and [`Backend`](crate::ErrorKind::Backend);
    /// - [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): repeat it with the same ids.
    async fn append(&self, append: Append) -> Result<Appended>;

    /// Reads a page of the log.
    ///
    /// # Errors
    ///
    /// - [`CursorAhead`](crate::ErrorKind::CursorAhead) if the read begins after a
    ///   position above the head;
    /// - [`HistoryChanged`](crate::ErrorKind::HistoryChanged) if it begins after a cursor
    ///   whose position has another event, or none;
    /// - [`Unavailable`](crate::ErrorKind::Unavailable), [`Corrupt`](crate::ErrorKind::Corrupt)
    ///   and [`Backend`](crate::ErrorKind::Backend).
    async fn read_log(&self, read: ReadLog) -> Result<Page>;

    /// Reads a page of one stream. The page of a stream without events is empty.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Corrupt`](crate::ErrorKind::Corrupt)
    /// and [`Backend`](crate::ErrorKind::Backend).
    async fn read_stream(&self, read: ReadStream) -> Result<Page>;

    /// The end of the log: the highest position such that nothing can still
    /// appear at or below it. [`Cursor::START`] for an empty log.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) and [`Backend`](crate::ErrorKind::Backend).
    async fn head(&self) -> Result<Cursor>;

    /// Subscribes to what this handle's own writer commits from now on, so that
    /// the hubs of the process need not read it back. `None` if the store does
    /// not report its commits: hubs then read the log after each append. A store
    /// that is built on [`Writer`](crate::commit::Writer) returns
    /// [`Writer::commits`](crate::commit::Writer::commits); a wrapper returns what
    /// the inner store returns, unless it changes events.
    fn commits(&self) -> Option<Commits>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventStore + ?Sized> EventStore for Arc<S> {
    async fn append(&self, append: Append) -> Result<Appended> {
        (**self).append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        (**self).read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        (**self).read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        (**self).head().await
    }

    fn commits(&self) -> Option<Commits> {
        (**self).commits()
    }
}
