use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use downlink::event::{ContentType, StoredParts};
use downlink::transport::Frame;
use downlink::{
    Cursor, Error, ErrorKind, Event, EventType, NewEvent, Result, StreamId, Tag, Version,
};
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::transport_bug::TransportBug;
use crate::transport_text::unhex;

fn broken(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

/// The frames of one connection, or the error if it is refused.
pub(crate) async fn frames(
    socket: TcpStream,
    bug: Option<TransportBug>,
) -> Result<BoxStream<'static, Result<Frame>>> {
    let socket = BufReader::new(socket);
    let mut lines = Lines { socket, block: Block::default(), is_inside: false, beat: None, bug };
    match lines.line().await?.as_deref() {
        Some("Ok") => {}
        Some("CursorAhead") => return Err(Error::new(ErrorKind::CursorAhead, "refused")),
        Some("HistoryChanged") => return Err(Error::new(ErrorKind::HistoryChanged, "refused")),
        Some(_) => return Err(Error::new(ErrorKind::Invalid, "refused")),
        None => return Err(broken("the connection ended before the response")),
    }
    let frames = stream::unfold(Some(lines), |lines| async {
        let mut lines = lines?;
        match lines.frame().await {
            Ok(Some(frame)) => Some((Ok(frame), Some(lines))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(frames.boxed())
}

struct Lines {
    socket: BufReader<TcpStream>,
    block: Block,
    /// Whether part of a block was read.
    is_inside: bool,
    /// The heartbeat interval of the server.
    beat: Option<Duration>,
    bug: Option<TransportBug>,
}

#[derive(Debug, Default)]
struct Block {
    id: Option<String>,
    event: Option<String>,
    data: Option<String>,
}

impl Lines {
    /// A whole line without its end; `None` at the end of the connection.
    async fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let read = self.socket.read_until(b'\n', &mut line);
        let read =
            match self.beat.filter(|_| self.bug != Some(TransportBug::StaysWithASilentServer)) {
                Some(beat) => {
                    timeout(beat * 5 / 2, read).await.map_err(|_| broken("no heartbeat came"))?
                }
                None => read.await,
            };
        read.map_err(|_| broken("the connection broke"))?;
        self.is_inside |= !line.is_empty();
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        String::from_utf8(line).map(Some).map_err(|_| broken("not UTF-8"))
    }

    async fn frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let Some(line) = self.line().await? else {
                let half = std::mem::take(&mut self.block);
                if self.bug == Some(TransportBug::AcceptsHalfAFrame) && half.id.is_some() {
                    return Ok(half
                        .id
                        .and_then(|id| id.parse().ok())
                        .map(|cursor| Frame::Checkpoint { cursor }));
                }
                return if self.is_inside { Err(broken("the connection ended")) } else { Ok(None) };
            };
            match line.split_once(": ") {
                Some(("id", id)) => self.block.id = Some(id.to_owned()),
                Some(("event", event)) => self.block.event = Some(event.to_owned()),
                Some(("data", data)) => self.block.data = Some(data.to_owned()),
                _ if line.is_empty() => {
                    let block = std::mem::take(&mut self.block);
                    self.is_inside = false;
                    let frame = block.frame().ok_or_else(|| broken("not a valid frame"))?;
                    if let Frame::Ready { heartbeat, .. } = &frame {
                        self.beat = *heartbeat;
                    }
                    return Ok(Some(frame));
                }
                _ => {}
            }
        }
    }
}

impl Block {
    fn frame(self) -> Option<Frame> {
        let cursor: Option<Cursor> = self.id.as_deref().and_then(|id| id.parse().ok());
        let data = self.data?;
        let members: HashMap<String, Box<RawValue>> = serde_json::from_str(&data).ok()?;
        let head = || text(&members, "head")?.parse().ok();
        Some(match self.event.as_deref() {
            None => Frame::Event { event: event(&members, cursor?)?, envelope: Bytes::from(data) },
            Some("ready") => {
                let beat = members.get("beat").and_then(|beat| beat.get().parse().ok());
                let heartbeat = beat.filter(|beat| *beat > 0).map(Duration::from_millis);
                Frame::Ready { cursor: cursor?, head: head()?, heartbeat }
            }
            // Every block with an id moves the cursor, as in a browser.
            Some("heartbeat") => match cursor {
                Some(cursor) => Frame::Checkpoint { cursor },
                None => Frame::Heartbeat { head: head()? },
            },
            Some("live") => Frame::Live { cursor: cursor?, head: head()? },
            Some("behind") => Frame::Behind { cursor: cursor?, head: head()? },
            Some("reset") => Frame::Reset { reason: "history-changed".into(), head: head()? },
            Some("checkpoint") => Frame::Checkpoint { cursor: cursor? },
            Some(_) => return None,
        })
    }
}

type Members = HashMap<String, Box<RawValue>>;

fn text(members: &Members, name: &str) -> Option<String> {
    serde_json::from_str(members.get(name)?.get()).ok()
}

fn event(members: &Members, cursor: Cursor) -> Option<Event> {
    let json = |name: &str| Some(Bytes::from(members.get(name)?.get().to_owned()));
    let (content_type, payload) = match text(members, "hex") {
        Some(hex) => {
            (ContentType::new(text(members, "content_type")?).ok()?, Bytes::from(unhex(&hex)?))
        }
        None => (ContentType::JSON, json("data")?),
    };
    let tags: Vec<String> = serde_json::from_str(members.get("tags")?.get()).ok()?;
    let parts = StoredParts {
        id: text(members, "id")?.parse().ok()?,
        event_type: EventType::new(text(members, "type")?).ok()?,
        content_type,
        payload,
        metadata: json("metadata")?,
        tags: tags.into_iter().map(|tag| Tag::new(tag).ok()).collect::<Option<_>>()?,
    };
    let version = Version::new(members.get("version")?.get().parse().ok()?)?;
    let stream = StreamId::new(text(members, "stream")?).ok()?;
    let time = text(members, "time")?.parse().ok()?;
    let content = NewEvent::from_stored(parts);
    Some(Event::new(cursor.position(), stream, version, time, content))
}
