use std::time::Duration;

use bytes::Bytes;
use downlink::{Error, ErrorKind, Result};

/// An incremental parser of event streams (`text/event-stream`), by the rules of
/// the [HTML standard], with a size limit.
///
/// It does no I/O. The events do not depend on how the stream is cut into pieces.
///
/// # Examples
///
/// ```
/// use downlink_transports::client::EventStream;
///
/// let mut stream = EventStream::new();
/// let mut piece = &b"id: 7\ndata: one\n\ndata: tw"[..];
/// let event = stream.next(&mut piece)?.expect("a whole event");
/// assert_eq!((&event.data[..], &*event.last_event_id), (&b"one"[..], "7"));
/// assert_eq!(stream.next(&mut piece)?, None);
/// assert!(stream.is_inside_an_event());
/// # Ok::<(), downlink::Error>(())
/// ```
///
/// [HTML standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
#[derive(Debug)]
pub struct EventStream {
    limit: usize,
    start: Start,
    after_cr: bool,
    line: Vec<u8>,
    block_is_open: bool,
    data: Vec<u8>,
    event: String,
    last_event_id: String,
    retry: Option<Duration>,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// The name in its `event:` field; empty if it has none.
    pub event: String,
    /// The lines of its `data:` fields, with a line feed between two.
    pub data: Bytes,
    /// The last `id:` of the stream, in this event or an earlier one.
    pub last_event_id: String,
}

/// How much of a byte order mark was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Mark(usize),
    Over,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The longest id, in bytes. Every event has a copy of it.
const MAX_ID_BYTES: usize = 1 << 10;

/// The capacity that the buffer for lines keeps after a long one, in bytes.
const KEPT_BYTES: usize = 64 << 10;

impl EventStream {
    /// The default size limit of an event, in bytes: 4 MiB, more than any store
    /// accepts.
    pub const LIMIT: usize = 4 << 20;

    /// Creates a parser with the default limit.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Self::LIMIT)
    }

    /// Creates a parser that limits lines and events to this many bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            start: Start::Mark(0),
            after_cr: false,
            line: Vec::new(),
            block_is_open: false,
            data: Vec::new(),
            event: String::new(),
            last_event_id: String::new(),
            retry: None,
        }
    }

    /// Reads the next event from the front of `piece`; `None` once the whole piece
    /// was read.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) if a line or an event is longer than
    /// the limit, or an id longer than 1 KiB. The parser cannot be used after an
    /// error.
    pub fn next(&mut self, piece: &mut &[u8]) -> Result<Option<StreamEvent>> {
        self.skip_byte_order_mark(piece);
        while !piece.is_empty() {
            if std::mem::take(&mut self.after_cr) && piece[0] == b'\n' {
                *piece = &piece[1..];
                continue;
            }
            let Some(end) = piece.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                self.extend_line(std::mem::take(piece))?;
                break;
            };
            self.extend_line(&piece[..end])?;
            self.after_cr = piece[end] == b'\r';
            *piece = &piece[end + 1..];
            let line = std::mem::take(&mut self.line);
            let event = self.line(&line)?;
            if line.capacity() <= KEPT_BYTES {
                self.line = line;
                self.line.clear();
            }
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Whether the stream would lose data if it ended here.
    #[must_use]
    pub fn is_inside_an_event(&self) -> bool {
        self.block_is_open || !self.line.is_empty()
    }

    /// The delay before a reconnect that the stream asked for last.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn skip_byte_order_mark(&mut self, piece: &mut &[u8]) {
        while let (Start::Mark(seen), Some(&byte)) = (self.start, piece.first()) {
            if byte == BYTE_ORDER_MARK[seen] {
                *piece = &piece[1..];
                let whole = seen + 1 == BYTE_ORDER_MARK.len();
                self.start = if whole { Start::Over } else { Start::Mark(seen + 1) };
            } else {
                self.line.extend_from_slice(&BYTE_ORDER_MARK[..seen]);
                self.start = Start::Over;
            }
        }
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<()> {
        self.check(self.line.len() + bytes.len())?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn check(&self, bytes: usize) -> Result<()> {
        if bytes <= self.limit {
            return Ok(());
        }
        let message = format!(
            "an event of the stream is longer than {} bytes: raise the client's event limit",
            self.limit
        );
        Err(Error::new(ErrorKind::TooLarge, message))
    }

    fn set_id(&mut self, id: &[u8]) -> Result<()> {
        if id.len() > MAX_ID_BYTES {
            let message = format!("an id of the stream is longer than {MAX_ID_BYTES} bytes");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.last_event_id = String::from_utf8_lossy(id).into_owned();
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<StreamEvent>> {
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (name, value) = match line.iter().position(|&byte| byte == b':') {
            Some(0) => return Ok(None),
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        self.block_is_open = true;
        self.field(name, value.strip_prefix(b" ").unwrap_or(value))?;
        Ok(None)
    }

    fn field(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        match name {
            b"data" => {
                self.check(self.data.len() + value.len() + 1)?;
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => self.set_id(value)?,
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Option<StreamEvent> {
        self.block_is_open = false;
        let event = std::mem::take(&mut self.event);
        let mut data = std::mem::take(&mut self.data);
        data.pop()?;
        let last_event_id = self.last_event_id.clone();
        Some(StreamEvent { event, data: utf8(data), last_event_id })
    }
}

impl Default for EventStream {
    fn default() -> Self {
        Self::new()
    }
}

fn milliseconds(digits: &[u8]) -> Option<Duration> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    Some(Duration::from_millis(text.parse().unwrap_or(u64::MAX)))
}

/// The standard decodes the stream before it is parsed: invalid UTF-8 becomes
/// replacement characters.
fn utf8(bytes: Vec<u8>) -> Bytes {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into(),
    }
}

#[cfg(test)]
mod tests;
