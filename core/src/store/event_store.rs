use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::cursor::Cursor;
use crate::error::Result;
use crate::store::commits::Commits;
use crate::store::{Append, Appended, Page, ReadLog, ReadStream};

/// A durable, append-only log of events, divided into streams.
///
/// A backend implements this trait and nothing more. Convenience methods for
/// callers are in [`EventStoreExt`](crate::EventStoreExt).
///
/// # Contract
///
/// Every store guarantees the following. The names in brackets are the laws of
/// the conformance suite that check it.
///
/// *Appends*
///
/// 1. **Optimistic concurrency.** An expectation holds at one instant between
///    call and return. Otherwise the append fails with a [`Conflict`] that
///    lists every failed check with the actual version, and nothing is written
///    \[`expectations_hold_or_conflict`\].
/// 2. **Dense versions.** A stream's events are numbered 1, 2, 3, … in the
///    order of the batch \[`versions_are_dense`\].
/// 3. **All or nothing,** also across several streams and checks
///    \[`append_is_atomic`\].
/// 4. **One winner.** Of racing appends that expect the same version, exactly
///    one succeeds \[`one_writer_wins`\]. Appends that expect nothing all
///    succeed, and no two batches interleave \[`racing_batches_stay_whole`\].
///    For all concurrent appends there is a sequential order that yields the
///    same outcome for each of them \[`racing_appends_have_an_order`\].
/// 5. **Idempotency by event id, forever.** An append whose ids are all stored
///    already, write by write in the same stream, at consecutive versions, in
///    the same order and with the same content, is a duplicate: nothing is
///    written, expectations are not evaluated, and the original versions and
///    positions are returned \[`a_repeat_is_a_duplicate`\]. Content means
///    stream, type, content type, payload bytes and tags, but not metadata. A
///    retry has to send the same bytes: JSON that was serialized again may
///    count as different content.
/// 6. Any other use of a known id fails with [`IdReused`], whatever the append
///    expects, and nothing is written
///    \[`a_known_id_with_other_content_is_refused`\].
/// 7. **Exact bytes.** Payload, metadata, names and tags are returned exactly
///    as they were given \[`stored_bytes_are_exact`\].
/// 8. **Boundaries.** [`Check`](crate::Check)s on what the append does not
///    write hold under races too \[`checks_hold_under_races`\]. A boundary
///    whose cursor is past the head fails with [`CursorAhead`], one whose
///    cursor belongs to another history with [`HistoryChanged`].
/// 9. Exceeded **limits** are typed errors before anything is written
///    \[`limits_are_typed_errors`\], and so is a full queue
///    \[`a_full_queue_is_overloaded`\].
/// 10. **Failures are isolated.** An append that fails does not fail others
///     that are committed with it \[`a_failing_append_fails_alone`\].
///
/// *Order*
///
/// 11. **Commit order.** Positions are unique and increase in the order of the
///     log. An append that begins after another one was acknowledged gets
///     higher positions \[`positions_rise_in_commit_order`\].
/// 12. **No late arrivals.** Once a read has returned an event or a head, the
///     log up to it is final: every read begun later sees exactly the same
///     events there \[`nothing_appears_below_the_head`\].
/// 13. **One sequence.** Every reader sees prefixes of one sequence, and the
///     order within each stream agrees with it
///     \[`readers_see_prefixes_of_one_sequence`\].
/// 14. **No position is used twice** in one history
///     \[`no_position_is_used_twice`\].
/// 15. **Read your writes** through one handle, and never read less than before
///     \[`reads_see_what_was_acknowledged`\].
/// 16. `recorded_at` never decreases along the log
///     \[`recorded_times_never_decrease`\], except where an
///     [import](crate::store::ImportStore) begins.
///
/// *Pages*
///
/// 17. **Any page size yields the same concatenation;** reading backward yields
///     the reverse; a limit of 0 reads no events \[`pages_concatenate`\].
/// 18. [`Page::scanned`] skips nothing and comes from the page's snapshot;
///     pages respect their bounds \[`scanned_skips_nothing`\].
/// 19. **Changed histories are detected.** A read that resumes past the head
///     fails with [`CursorAhead`]; one whose cursor belongs to another event
///     fails with [`HistoryChanged`]. Both are checked in the snapshot of the
///     page \[`a_cursor_of_another_history_is_refused`\].
/// 20. **Filters** select exactly the events that
///     [`Filter::matches`](crate::Filter::matches) accepts
///     \[`filters_select_what_they_match`\].
///
/// *Everything together*
///
/// 21. **Contention stays inside the store.** However many tasks append and
///     read concurrently in one process, none of them receives a lock error,
///     and each gets at least a quarter of its fair share
///     \[`contention_reaches_no_caller`\].
/// 22. For any sequence of appends, repeated appends and reads, the results are
///     those of the suite's model \[`agrees_with_the_model`\].
///
/// *If the store reports its commits*
///
/// 23. **Only stored events are reported,** after the commit and in commit
///     order. From the moment a notice arrives, a read after its `from` returns
///     the events of the notice, byte for byte \[`notified_commits_are_stored`\]. A
///     failed append is not reported, even if others of its group are
///     \[`a_failed_append_is_not_notified`\].
/// 24. **Every stored event is reported,** in a notice or by a hint, and a
///     follower that takes no notices costs only bounded memory
///     \[`stored_commits_are_notified`\].
///
/// *If the log outlives the store*
///
/// 25. Acknowledged events are there when the store is reopened
///     \[`reopening_keeps_the_log`\], ids are still known
///     \[`ids_are_known_after_reopening`\], and positions continue to increase
///     \[`positions_continue_after_reopening`\].
///
/// *If the log can be replaced under the store*
///
/// 26. Old cursors are refused \[`a_restored_log_refuses_old_cursors`\], the
///     store remembers nothing about events that are gone
///     \[`a_restore_invalidates_caches`\], and running subscriptions
///     are notified \[`a_running_subscription_reports_a_restore`\].
///
/// *If several processes share the log*
///
/// 27. **Shared access.** Every other handle, driver or process that has the
///     log open sees what is appended and may append
///     \[`processes_share_one_log`\], and exactly one writer among all of them
///     wins each version \[`one_process_wins_each_version`\]. Their hubs
///     deliver the same events, whichever commits each of them is notified of
///     \[`two_stores_of_one_log_agree`\].
/// 28. **Processes take turns.** Each process that appends without a pause gets
///     its share, and none receives a lock error \[`processes_take_turns`\]. If
///     another program does not take turns and holds the lock past the store's
///     deadline, an append fails with [`Busy`]
///     \[`a_lock_held_past_the_deadline_is_busy`\].
///
/// # Clones and handles
///
/// A store is a handle. Where one is `Clone`, the clones share the same log.
///
/// # Cancel safety
///
/// Dropping the future of [`append`](Self::append) leaves all of its events
/// stored or none, and no transaction open. To find out which, and to make sure
/// that they are stored, repeat the append with the same ids
/// \[`a_dropped_append_is_all_or_nothing`\]. The other methods have no effects
/// and may be dropped at any time.
///
/// [`Conflict`]: crate::ErrorKind::Conflict
/// [`IdReused`]: crate::ErrorKind::IdReused
/// [`Busy`]: crate::ErrorKind::Busy
/// [`CursorAhead`]: crate::ErrorKind::CursorAhead
/// [`HistoryChanged`]: crate::ErrorKind::HistoryChanged
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// Stores an append, all or nothing. When this returns `Ok`, the events are
    /// as durable as the backend documents, and every read begun later sees
    /// them.
    ///
    /// # Errors
    ///
    /// Nothing was written after any of these except the last:
    ///
    /// - [`Conflict`](crate::ErrorKind::Conflict) if an expectation or a check failed;
    /// - [`IdReused`](crate::ErrorKind::IdReused) if an id belongs to another
    ///   stored event;
    /// - [`Invalid`](crate::ErrorKind::Invalid) and [`TooLarge`](crate::ErrorKind::TooLarge)
    ///   as in [`Append::validate`];
    /// - [`CursorAhead`](crate::ErrorKind::CursorAhead) and
    ///   [`HistoryChanged`](crate::ErrorKind::HistoryChanged) for a boundary's
    ///   cursor that does not belong to this log;
    /// - [`Overloaded`](crate::ErrorKind::Overloaded),
    ///   [`Busy`](crate::ErrorKind::Busy),
    ///   [`StorageFull`](crate::ErrorKind::StorageFull) and
    ///   [`Unavailable`](crate::ErrorKind::Unavailable), after which the append
    ///   may be repeated;
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) and [`Backend`](crate::ErrorKind::Backend);
    /// - [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): repeat the
    ///   append with the same ids.
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

    /// The end of the log: the cursor of the newest event of the part of the
    /// log that is final. [`Cursor::START`] for an empty log.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) and [`Backend`](crate::ErrorKind::Backend).
    async fn head(&self) -> Result<Cursor>;

    /// Subscribes to the commits of this handle's own writer from now on, so
    /// that the hubs of the process need not read them back. `None` if the
    /// store does not report its commits: hubs then read the log after each
    /// append. A store built on [`Writer`](crate::commit::Writer) returns
    /// [`Writer::commits`](crate::commit::Writer::commits); a wrapper returns
    /// what the inner store returns, unless it changes events.
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
