//! The index of types and tags: building it, and looking events up in it.

use downlink::{Filter, Result};
use downlink_sqlite_schema::{NewPostings, PageBuilder, Search, sql};
use rusqlite::{Connection, Params, Row, params};

use crate::error::failed;
use crate::snapshot::Snapshot;

/// How far the index and the log are.
pub(crate) fn indexed_and_head(connection: &Connection) -> Result<(i64, i64)> {
    connection
        .prepare_cached(sql::INDEXED_AND_HEAD)
        .and_then(|mut statement| statement.query_row((), |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(failed("read how far the index is"))
}

/// Indexes the events after one position and up to another, in a transaction that writes.
pub(crate) fn index(connection: &Connection, (after, to): (i64, i64)) -> Result<()> {
    let doing = "bring the index up to date";
    let run = |text: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let ran = connection.prepare_cached(text).and_then(|mut it| it.execute(parameters));
        ran.map(drop).map_err(failed(doing))
    };
    let mut new = NewPostings::default();
    let types: Option<String> = connection
        .prepare_cached(sql::TYPES_BETWEEN)
        .and_then(|mut statement| statement.query_row([after, to], |row| row.get(0)))
        .map_err(failed(doing))?;
    if let Some(types) = types {
        new.add_types(&types)?;
        run(sql::ADD_TYPE_POSTINGS, params![new.types()])?;
    }
    each(connection, sql::TAGS_BETWEEN, [after, to], |row| {
        let position = row.get(0).map_err(failed(doing))?;
        let column = row.get_ref(1).and_then(|tags| Ok(tags.as_blob()?));
        new.add_tags(position, column.map_err(failed(doing))?)
    })?;
    if new.has_tags() {
        run(sql::ADD_TAGS, params![new.tag_names()])?;
        run(sql::ADD_TAG_POSTINGS, params![new.tags()])?;
    }
    run(sql::SET_INDEXED, params![to])
}

/// Offers the events of a range that may match, until the page is full. Returns `false` if a
/// scan of the range costs less.
pub(crate) fn look_up(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    filter: &Filter,
    range: (i64, i64),
    forward: bool,
) -> Result<bool> {
    let Some(mut search) = Search::of(filter, range, forward) else { return Ok(false) };
    let connection = snapshot.connection;
    let [types, tags] = search.terms();
    search.take_terms(rows(connection, sql::TERMS, [types, tags], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?);
    let mut event_at = snapshot.prepare(sql::EVENT_AT)?;
    while let Some((names, first, last)) = search.next_window() {
        let window = params![names, first, last];
        search.take_sizes(rows(connection, sql::POSTINGS_SIZES, window, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?);
        if page.last.is_none() && search.is_dense() {
            return Ok(false);
        }
        while let Some(wanted) = search.next_load() {
            let loaded = rows(connection, sql::POSTINGS, [wanted], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            for position in search.take_postings(loaded.into_iter().map(Ok))? {
                let Some(found) = snapshot.event_at(&mut event_at, position)? else { continue };
                if !page.offer(found.event) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(true)
}

fn rows<T>(
    connection: &Connection,
    text: &str,
    parameters: impl Params,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    each(connection, text, parameters, |row| {
        all.push(read(row).map_err(failed("read the index"))?);
        Ok(())
    })?;
    Ok(all)
}

fn each(
    connection: &Connection,
    text: &str,
    parameters: impl Params,
    mut visit: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let doing = "read the index";
    let mut statement = connection.prepare_cached(text).map_err(failed(doing))?;
    let mut rows = statement.query(parameters).map_err(failed(doing))?;
    while let Some(row) = rows.next().map_err(failed(doing))? {
        visit(row)?;
    }
    Ok(())
}
