use std::sync::Arc;
use std::task::{Context, Poll};

use downlink::{Cursor, Error, Frame, Result, Subscribe};
use tokio::sync::oneshot;

use super::buffer::{Buffer, Room};
use super::channel::Channel;
use crate::wire::{Command, Label, parse};

/// One subscription, as the socket's task sees it.
pub(super) struct Subscriber {
    /// What the server calls it; `None` while it is taken back because nobody
    /// takes its frames. A new one each time, so that what is still on its way
    /// for the old one is told apart.
    sub: Option<Label>,
    subscribe: Subscribe,
    /// Where what was put into the buffer ends.
    cursor: Option<Cursor>,
    is_live: bool,
    buffer: Arc<Buffer>,
    /// Who waits for the server to take it.
    opened: Option<oneshot::Sender<Result<Channel>>>,
}

/// What a frame leads to.
pub(super) enum Outcome {
    Goes,
    /// There is no room: it has to be taken back at the server.
    Full,
    Over,
}

/// What a subscriber wants.
pub(super) enum Wish {
    /// To be opened again.
    Resume,
    /// Nothing any more.
    Leave,
}

impl Subscriber {
    pub(super) fn new(subscribe: Subscribe, opened: oneshot::Sender<Result<Channel>>) -> Self {
        let (buffer, opened) = (Arc::new(Buffer::default()), Some(opened));
        Self { sub: None, subscribe, cursor: None, is_live: false, buffer, opened }
    }

    pub(super) fn is(&self, sub: &Label) -> bool {
        self.sub.as_ref() == Some(sub)
    }

    /// What opens it under this name, from where its buffer ends.
    pub(super) fn open(&mut self, sub: Label) -> Option<String> {
        self.sub = Some(sub.clone());
        let after = self.cursor.map_or(self.subscribe.begins_after(), Into::into);
        let filter = self.subscribe.wanted().clone();
        Command::Subscribe { sub, after, filter }.json()
    }

    /// What it was called, if the server knows it; it does not any more.
    pub(super) fn take_back(&mut self) -> Option<Label> {
        self.sub.take()
    }

    pub(super) fn take(&mut self, frame: Frame) -> Outcome {
        let frame = match frame {
            Frame::Ready { cursor, head, .. } if self.cursor.is_some() => {
                // It was open before: the caller learns of it only if it has to.
                if !self.is_live {
                    return Outcome::Goes;
                }
                Frame::Behind { cursor, head }
            }
            Frame::Problem { code, detail, retryable } => {
                self.end(Some(parse::problem(&code, &detail, retryable)));
                return Outcome::Over;
            }
            Frame::Reset { .. } => {
                self.buffer.offer_last(frame);
                self.end(None);
                return Outcome::Over;
            }
            frame => frame,
        };
        let (cursor, is_live) = (frame.cursor(), matches!(frame, Frame::Live { .. }));
        let is_behind = matches!(frame, Frame::Behind { .. });
        if !self.buffer.offer(frame) {
            return Outcome::Full;
        }
        self.cursor = cursor.max(self.cursor);
        self.is_live = (self.is_live || is_live) && !is_behind;
        if let Some(opened) = self.opened.take() {
            // Whoever does not wait for it any more has left, by dropping the channel.
            let _ = opened.send(Ok(Channel::new(Arc::clone(&self.buffer))));
        }
        Outcome::Goes
    }

    /// A frame of the whole socket, after which nothing comes.
    pub(super) fn take_last(&self, frame: Frame) {
        self.buffer.offer_last(frame);
    }

    pub(super) fn end(&mut self, error: Option<Error>) {
        if let Some(opened) = self.opened.take() {
            let ended = || Error::new(downlink::ErrorKind::Unavailable, "the socket has ended");
            // Nobody has to wait for it any more.
            let _ = opened.send(Err(error.clone().unwrap_or_else(ended)));
        }
        self.buffer.end(error);
    }

    pub(super) fn poll_wish(&mut self, cx: &mut Context<'_>) -> Poll<Wish> {
        if let Some(opened) = &mut self.opened {
            return opened.poll_closed(cx).map(|()| Wish::Leave);
        }
        if self.sub.is_some() {
            return self.buffer.poll_left(cx).map(|()| Wish::Leave);
        }
        self.buffer.poll_room(cx).map(|room| match room {
            Room::Plenty => Wish::Resume,
            Room::Left => Wish::Leave,
        })
    }
}
