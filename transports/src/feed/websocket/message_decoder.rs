use downlink::budget::{ByteBudget, Reservation};

use super::close_frame::CloseFrame;
use super::frame_head::{FrameHead, Opcode};
use super::read_error::ReadError;
use crate::wire::utf8::Utf8Check;

/// The limit of a received message, of all its frames together, in bytes. Browsers
/// send 70,000 bytes as one frame.
pub(super) const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// This much of a message is not counted, so that small commands are received even if
/// the budget is spent.
const UNCOUNTED_BYTES: usize = 1 << 10;

/// What a client has sent.
#[derive(Debug)]
pub(super) enum Message {
    Text(TextMessage),
    /// A ping with this payload, to be returned in a pong.
    Ping(Vec<u8>),
    /// A pong with this payload.
    Pong(Vec<u8>),
    /// A close frame, to be returned.
    Close(Option<CloseFrame>),
}

/// The text of a message, and what reserves its bytes.
#[derive(Debug)]
pub(super) struct TextMessage {
    pub(super) text: String,
    pub(super) held: Reservation,
}

/// Decodes the frames of a client (RFC 6455). It has no buffers but that of a message
/// or control frame that has begun.
#[derive(Debug)]
pub(super) struct MessageDecoder {
    budget: ByteBudget,
    /// The beginning of the next head.
    head: [u8; FrameHead::MAX_BYTES],
    head_len: usize,
    frame: Option<Frame>,
    message: Option<PartialMessage>,
    /// How many bytes of what is unfinished were received since the last
    /// [call](Self::take_received).
    received: usize,
    is_discarding: bool,
}

/// A frame whose payload is being received.
#[derive(Debug)]
struct Frame {
    head: FrameHead,
    left: usize,
    /// The payload of a control frame.
    control: Vec<u8>,
}

/// A message that is being received.
#[derive(Debug)]
struct PartialMessage {
    bytes: Vec<u8>,
    utf8: Utf8Check,
    held: Reservation,
}

impl MessageDecoder {
    /// A decoder whose messages count in this budget.
    pub(super) fn new(budget: ByteBudget) -> Self {
        Self {
            budget,
            head: [0; FrameHead::MAX_BYTES],
            head_len: 0,
            frame: None,
            message: None,
            received: 0,
            is_discarding: false,
        }
    }

    /// From now on only control frames matter. What has arrived of a message is given
    /// back.
    pub(super) fn discard_messages(&mut self) {
        self.is_discarding = true;
        if let Some(message) = &mut self.message {
            *message = PartialMessage::new(&self.budget);
        }
    }

    /// Whether a frame or message has begun and not ended.
    pub(super) fn is_unfinished(&self) -> bool {
        self.head_len > 0 || self.frame.is_some() || self.message.is_some()
    }

    /// How many bytes of what is unfinished were received since the last call. A
    /// control frame within a message is not part of it.
    pub(super) fn take_received(&mut self) -> usize {
        std::mem::take(&mut self.received)
    }

    /// Decodes bytes up to the end of the next message, or all; removes them from
    /// `input`.
    pub(super) fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ReadError> {
        loop {
            if self.frame.is_none() {
                let Some(head) = self.head(input)? else { return Ok(None) };
                self.frame = Some(self.begin(head)?);
            }
            self.payload(input)?;
            let Some(frame) = self.frame.take_if(|frame| frame.left == 0) else { return Ok(None) };
            let message = self.end(frame)?;
            if self.message.is_none() {
                self.received = 0;
            }
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    fn head(&mut self, input: &mut &[u8]) -> Result<Option<FrameHead>, ReadError> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.head[self.head_len] = byte;
            self.head_len += 1;
            if self.message.is_none() || !FrameHead::is_of_control(self.head[0]) {
                self.received += 1;
            }
            if let Some(head) = FrameHead::parse(&self.head[..self.head_len])? {
                self.head_len = 0;
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, head: FrameHead) -> Result<Frame, ReadError> {
        match (head.opcode, &self.message) {
            (Opcode::Continuation, None) => {
                return Err(ReadError::Protocol("a frame continues a message that has not begun"));
            }
            (Opcode::Text, Some(_)) => {
                return Err(ReadError::Protocol("a message begins within another"));
            }
            (Opcode::Text, None) => self.message = Some(PartialMessage::new(&self.budget)),
            _ => {}
        }
        let before = self.message.as_ref().map_or(0, |message| message.bytes.len());
        if !head.opcode.is_control() && before + head.len > MAX_MESSAGE_BYTES {
            return Err(ReadError::TooLong);
        }
        Ok(Frame { head, left: head.len, control: Vec::new() })
    }

    /// Takes what there is of the payload.
    fn payload(&mut self, input: &mut &[u8]) -> Result<(), ReadError> {
        let Some(frame) = &mut self.frame else { return Ok(()) };
        let part;
        (part, *input) = input.split_at(frame.left.min(input.len()));
        if part.is_empty() {
            return Ok(());
        }
        frame.left -= part.len();
        let mask = frame.head.mask;
        frame.head.mask.rotate_left(part.len() % mask.len());
        match &mut self.message {
            Some(message) if !frame.head.opcode.is_control() => {
                self.received += part.len();
                if !self.is_discarding {
                    message.push(part, mask, frame.left)?;
                }
            }
            message => {
                if message.is_none() {
                    self.received += part.len();
                }
                frame.control.extend_from_slice(part);
                let begin = frame.control.len() - part.len();
                unmask(&mut frame.control[begin..], mask);
            }
        }
        Ok(())
    }

    fn end(&mut self, frame: Frame) -> Result<Option<Message>, ReadError> {
        match frame.head.opcode {
            Opcode::Ping => Ok(Some(Message::Ping(frame.control))),
            Opcode::Pong => Ok(Some(Message::Pong(frame.control))),
            Opcode::Close => CloseFrame::parse(&frame.control).map(Message::Close).map(Some),
            Opcode::Continuation | Opcode::Text if !frame.head.is_final => Ok(None),
            Opcode::Continuation | Opcode::Text => {
                let message = self.message.take().filter(|_| !self.is_discarding);
                message.map(PartialMessage::finish).transpose()
            }
        }
    }
}

impl PartialMessage {
    fn new(budget: &ByteBudget) -> Self {
        Self { bytes: Vec::new(), utf8: Utf8Check::default(), held: budget.empty() }
    }

    /// Adds masked bytes, which are followed by this many of the same frame.
    fn push(&mut self, part: &[u8], mask: [u8; 4], left: usize) -> Result<(), ReadError> {
        self.grow(part.len(), left)?;
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(part);
        unmask(&mut self.bytes[begin..], mask);
        self.utf8.push(&self.bytes[begin..]).map_err(|_| ReadError::NotUtf8)
    }

    /// Makes room for a part: for hardly more than the rest of its frame, but for
    /// enough that a message of many small frames is not copied for each.
    fn grow(&mut self, part: usize, left: usize) -> Result<(), ReadError> {
        let len = self.bytes.len() + part;
        if len <= self.bytes.capacity() {
            return Ok(());
        }
        let most = (len + left.max(len / 8)).min(MAX_MESSAGE_BYTES);
        let capacity = (2 * self.bytes.capacity()).clamp(len, most);
        let counted = capacity.saturating_sub(UNCOUNTED_BYTES);
        if !self.held.try_grow(counted - self.held.bytes()) {
            return Err(ReadError::OverBudget);
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        Ok(())
    }

    fn finish(self) -> Result<Message, ReadError> {
        if !self.utf8.is_complete() {
            return Err(ReadError::NotUtf8);
        }
        let text = String::from_utf8(self.bytes).map_err(|_| ReadError::NotUtf8)?;
        Ok(Message::Text(TextMessage { text, held: self.held }))
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let (blocks, rest) = bytes.as_chunks_mut::<4>();
    for block in blocks {
        *block = (u32::from_ne_bytes(*block) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
