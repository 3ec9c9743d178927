//! The index of types and tags: making it, and looking events up in it.

use downlink::Result;
use downlink::store::ReadLog;
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::{NewPostings, PageBuilder, Search, batch_sql, sql};
use futures::TryStreamExt;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::error::failed;
use crate::row::{column, missing};
use crate::snapshot::{Bounds, Snapshot};
use crate::statement::{Values, list};

/// How many events are fetched by one statement.
const AT_ONCE: usize = 256;

/// How far the index and the log are.
pub(crate) async fn indexed_and_head(connection: &mut SqliteConnection) -> Result<(i64, i64)> {
    let row = sqlx::query(sql::INDEXED_AND_HEAD)
        .fetch_optional(connection)
        .await
        .map_err(failed("read how far the index is"))?
        .ok_or_else(|| missing("head"))?;
    Ok((column(&row, 0)?, column(&row, 1)?))
}

/// Indexes the events after one position and up to another, in a transaction that writes.
pub(crate) async fn index(
    connection: &mut SqliteConnection,
    (after, to): (i64, i64),
) -> Result<()> {
    let doing = "bring the index up to date";
    let mut new = NewPostings::default();
    let types: Option<String> = sqlx::query_scalar(sql::TYPES_BETWEEN)
        .bind(after)
        .bind(to)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(doing))?;
    let mut lists = Vec::new();
    if let Some(types) = types {
        new.add_types(&types)?;
        lists.push((sql::ADD_TYPE_POSTINGS, new.types()));
    }
    let mut rows = sqlx::query(sql::TAGS_BETWEEN).bind(after).bind(to).fetch(&mut *connection);
    while let Some(row) = rows.try_next().await.map_err(failed(doing))? {
        new.add_tags(column(&row, 0)?, column(&row, 1)?)?;
    }
    drop(rows);
    if new.has_tags() {
        lists.push((sql::ADD_TAGS, new.tag_names()));
        lists.push((sql::ADD_TAG_POSTINGS, new.tags()));
    }
    for (text, list) in lists {
        let added = sqlx::query(text).bind(list).execute(&mut *connection).await;
        added.map_err(failed(doing))?;
    }
    let set = sqlx::query(sql::SET_INDEXED).bind(to).execute(connection).await;
    set.map(drop).map_err(failed(doing))
}

/// Offers the events of a range that may match, until the page is full. Returns `false` if a
/// scan of the range costs less.
pub(crate) async fn look_up(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadLog,
    range: (i64, i64),
    forward: bool,
) -> Result<bool> {
    let Some(mut search) = Search::of(read.filter(), range, forward) else { return Ok(false) };
    let mut values = Values::default();
    search.terms().into_iter().for_each(|list| values.push(list));
    let terms = snapshot.rows(sql::TERMS, values).await?;
    search.take_terms(all(&terms, |row| Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?)))?);
    while let Some((names, first, last)) = search.next_window() {
        let mut values = Values::default();
        values.push(names);
        values.push(first);
        values.push(last);
        let sizes = snapshot.rows(sql::POSTINGS_SIZES, values).await?;
        search.take_sizes(all(&sizes, |row| {
            Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?, column(row, 3)?))
        })?);
        if page.last.is_none() && search.is_dense() {
            return Ok(false);
        }
        while let Some(wanted) = search.next_load() {
            let mut values = Values::default();
            values.push(wanted);
            let loaded = snapshot.rows(sql::POSTINGS, values).await?;
            let positions = search.take_postings(loaded.iter().map(|row| {
                Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?, column(row, 3)?))
            }))?;
            offer(snapshot, page, read, &positions).await?;
            if page.is_full() {
                return Ok(true);
            }
        }
    }
    Ok(true)
}

/// Offers the events at these positions, until the page is full.
async fn offer(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadLog,
    positions: &[i64],
) -> Result<()> {
    let mut left = positions;
    while !left.is_empty() && !page.is_full() {
        let now = &left[..left.len().min(AT_ONCE.min(read.limit().max(16)))];
        let mut values = Values::default();
        values.push(list(now.iter().copied()));
        let bounds = Bounds { events: usize::MAX, bytes: read.max_bytes() };
        let fetched = snapshot.events(batch_sql::EVENTS_AT.into(), values, bounds).await?;
        let taken = fetched.events.last().map(|last| position_to_sql(last.event.position()));
        // Events that do not exist any more are skipped.
        left = match taken {
            Some(last) if !fetched.is_all => {
                let done = now.iter().position(|at| *at == last).map_or(now.len(), |at| at + 1);
                &left[done..]
            }
            _ => &left[now.len()..],
        };
        for found in fetched.events {
            if !page.offer(found.event) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn all<T>(rows: &[SqliteRow], read: impl Fn(&SqliteRow) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(read).collect()
}
