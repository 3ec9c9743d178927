use std::sync::Arc;
use std::task::{Context, Poll};

use downlink::transport::Frame;
use downlink::{Cursor, Error, Result, Subscribe};
use tokio::sync::oneshot;

use super::buffer::{Buffer, Room};
use super::socket_subscription::SocketSubscription;
use crate::wire::{Command, Label, problem_error};

/// One subscription, as the socket's task sees it.
pub(super) struct Subscriber {
    /// Its label at the server; `None` while it is closed there because its buffer
    /// is full. It gets a new label each time, so that frames that are still in
    /// flight for the old one are ignored.
    sub: Option<Label>,
    subscribe: Subscribe,
    /// The cursor of the last buffered frame.
    cursor: Option<Cursor>,
    is_live: bool,
    buffer: Arc<Buffer>,
    /// Answered once the server has opened it.
    opened: Option<oneshot::Sender<Result<SocketSubscription>>>,
}

/// The result of a frame.
pub(super) enum Outcome {
    Accepted,
    /// There is no room: the subscription has to be closed at the server.
    Full,
    Ended,
}

/// What has to be done for a subscriber.
pub(super) enum Action {
    /// Open its subscription again.
    Resubscribe,
    /// Close its subscription: it was dropped.
    Remove,
}

impl Subscriber {
    pub(super) fn new(
        subscribe: Subscribe,
        opened: oneshot::Sender<Result<SocketSubscription>>,
    ) -> Self {
        let (buffer, opened) = (Arc::new(Buffer::default()), Some(opened));
        Self { sub: None, subscribe, cursor: None, is_live: false, buffer, opened }
    }

    pub(super) fn is(&self, sub: &Label) -> bool {
        self.sub.as_ref() == Some(sub)
    }

    /// The command that opens it with this label, after the last buffered frame.
    pub(super) fn subscribe(&mut self, sub: Label) -> Option<String> {
        self.sub = Some(sub.clone());
        let after = self.cursor.map_or(self.subscribe.after(), Into::into);
        let filter = self.subscribe.filter().clone();
        Command::Subscribe { sub, after, filter }.json()
    }

    /// Takes its label at the server, if it is open there.
    pub(super) fn take_label(&mut self) -> Option<Label> {
        self.sub.take()
    }

    pub(super) fn on_frame(&mut self, frame: Frame) -> Outcome {
        let frame = match frame {
            Frame::Ready { cursor, head, .. } if self.cursor.is_some() => {
                // It was open before: the caller notices only if it was live.
                if !self.is_live {
                    return Outcome::Accepted;
                }
                Frame::Behind { cursor, head }
            }
            Frame::Problem { code, detail, retryable, .. } => {
                self.end(Some(problem_error(&code, &detail, retryable)));
                return Outcome::Ended;
            }
            Frame::Reset { .. } => {
                self.buffer.push_last(frame);
                self.end(None);
                return Outcome::Ended;
            }
            frame => frame,
        };
        let (cursor, is_live) = (frame.cursor(), matches!(frame, Frame::Live { .. }));
        let is_behind = matches!(frame, Frame::Behind { .. });
        if !self.buffer.push(frame) {
            return Outcome::Full;
        }
        self.cursor = cursor.max(self.cursor);
        self.is_live = (self.is_live || is_live) && !is_behind;
        if let Some(opened) = self.opened.take() {
            // Fails if the caller no longer waits, which drops the subscription.
            let _ = opened.send(Ok(SocketSubscription::new(Arc::clone(&self.buffer))));
        }
        Outcome::Accepted
    }

    /// Handles the last frame of the whole socket.
    pub(super) fn on_last_frame(&self, frame: Frame) {
        self.buffer.push_last(frame);
    }

    pub(super) fn end(&mut self, error: Option<Error>) {
        if let Some(opened) = self.opened.take() {
            let ended = || Error::new(downlink::ErrorKind::Unavailable, "the socket has ended");
            // Fails if the caller no longer waits.
            let _ = opened.send(Err(error.clone().unwrap_or_else(ended)));
        }
        self.buffer.finish(error);
    }

    pub(super) fn poll_action(&mut self, cx: &mut Context<'_>) -> Poll<Action> {
        if let Some(opened) = &mut self.opened {
            return opened.poll_closed(cx).map(|()| Action::Remove);
        }
        if self.sub.is_some() {
            return self.buffer.poll_closed(cx).map(|()| Action::Remove);
        }
        self.buffer.poll_room(cx).map(|room| match room {
            Room::Free => Action::Resubscribe,
            Room::Closed => Action::Remove,
        })
    }
}
