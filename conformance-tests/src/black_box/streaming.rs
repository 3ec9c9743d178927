//! Checks of the SSE encoding.

use downlink::Cursor;

use super::Failure;
use super::Outcome;
use super::ensure::ensure;
use super::http::Exchange;
use super::target::{Target, join, member};

/// The fields of one block, without comments.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) id: Option<String>,
    pub(super) event: Option<String>,
    pub(super) data: Option<String>,
    pub(super) retry: Option<String>,
}

impl Block {
    fn parse(text: &str) -> Result<Self, String> {
        let mut block = Self::default();
        for line in text.split('\n').filter(|line| !line.starts_with(':') && !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            let field = match name {
                "id" => &mut block.id,
                "event" => &mut block.event,
                "data" => &mut block.data,
                "retry" => &mut block.retry,
                _ => return Err(format!("a line of the stream is not a field: {line:.200}")),
            };
            if field.replace(value).is_some() {
                return Err(format!("a block has two lines of '{name}': {text:.300}"));
            }
        }
        Ok(block)
    }

    fn is_empty(&self) -> bool {
        self.id.is_none() && self.event.is_none() && self.data.is_none() && self.retry.is_none()
    }
}

/// The blocks of a stream up to `live`.
pub(super) async fn until_live(stream: &mut Exchange) -> Result<Vec<Block>, Failure> {
    let live = |text: &str| text.contains("\nevent: feed.live\n") && text.ends_with("\n\n");
    blocks(stream.until(live).await?)
}

pub(super) fn blocks(text: &str) -> Result<Vec<Block>, Failure> {
    ensure!(!text.contains('\r'), "the stream contains a CR, which is a line end to a browser");
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let blocks: Result<Vec<_>, _> = whole.split("\n\n").map(Block::parse).collect();
    Ok(blocks?.into_iter().filter(|block| !block.is_empty()).collect())
}

/// The envelopes among these blocks.
pub(super) fn events(blocks: &[Block]) -> Vec<String> {
    let event = |block: &Block| block.event.is_none().then(|| block.data.clone()).flatten();
    blocks.iter().filter_map(event).collect()
}

pub(super) async fn a_stream_begins_with_ready_and_becomes_live(target: &Target) -> Outcome {
    let mut stream = target.stream(&[&target.filter(), "after=last:5"], &[]).await?;
    for (name, part) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("cache-control", "no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        ensure!(stream.header(name).contains(part), "a stream's {name} lacks '{part}'");
    }
    let blocks = until_live(&mut stream).await?;
    let first = blocks.first().and_then(|block| block.event.as_deref());
    ensure!(first == Some("feed.ready"), "the first block is {first:?} instead of feed.ready");
    let retry = blocks[0].retry.as_deref().and_then(|retry| retry.parse::<u64>().ok());
    ensure!(
        retry.is_some_and(|retry| retry > 0),
        "`ready` has retry {retry:?}: a browser reconnects at once"
    );
    let last = blocks.iter().rev().find(|block| block.event.as_deref() == Some("feed.live"));
    let live = last.and_then(|live| live.data.clone()).unwrap_or_default();
    let (cursor, head) = (member(&live, "cursor"), member(&live, "head"));
    ensure!(cursor >= head, "`live` came at {cursor}, before its head {head}");
    Ok(())
}

pub(super) async fn ids_are_present_only_where_the_cursor_moves(target: &Target) -> Outcome {
    let mut stream = target.stream(&[&target.filter(), "after=last:50"], &[]).await?;
    let mut before = String::new();
    for block in until_live(&mut stream).await? {
        let data = block.data.clone().unwrap_or_default();
        let moves = match block.event.as_deref() {
            None | Some("feed.ready" | "feed.checkpoint" | "feed.live" | "feed.behind") => true,
            Some(name) => {
                ensure!(name.starts_with("feed."), "a block is named '{name}'");
                false
            }
        };
        ensure!(
            moves == block.id.is_some(),
            "an id is present where the cursor does not move, or is missing where it does: \
             {block:?}"
        );
        let Some(id) = block.id else { continue };
        ensure!(id.parse::<Cursor>().is_ok(), "the id '{id}' is not a cursor");
        ensure!(member(&data, "cursor") == id, "the id '{id}' is not the cursor of {data:.200}");
        ensure!(id >= before, "the id goes back from {before} to {id}");
        before = id;
    }
    Ok(())
}

pub(super) async fn streams_and_pages_have_the_same_bytes(target: &Target) -> Outcome {
    let filter = target.filter();
    let first = target.page(&join(&[&filter, "after=last:100&limit=1"])).await?;
    let Some(first) = first.events.first() else {
        return Err(Failure::Skipped("the log is empty".to_owned()));
    };
    let after = format!("after={}", member(first, "cursor"));
    let mut stream = target.stream(&[&filter, &after], &[]).await?;
    let streamed = events(&until_live(&mut stream).await?);
    let paged = target.all(&filter, &after["after=".len()..], 1_000).await?;
    same(&streamed, &paged, "a stream", "pages")
}

/// Compares two sequences, of which the second was read later.
pub(super) fn same(one: &[String], other: &[String], name: &str, named: &str) -> Outcome {
    ensure!(
        one.len() <= other.len(),
        "{name} had {} events and {named} {}",
        one.len(),
        other.len()
    );
    for (one, other) in one.iter().zip(other) {
        ensure!(one == other, "{name} had {one:.300} where {named} had {other:.300}");
    }
    Ok(())
}
