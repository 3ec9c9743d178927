use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use downlink::{Error, Frame, Result};

/// What one subscriber may leave unread: frames, and bytes of their events.
const MOST_FRAMES: usize = 1_024;
const MOST_BYTES: usize = 1 << 20;

/// Frames on their way from the socket to one subscriber.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Frame>,
    bytes: usize,
    is_over: bool,
    /// Why it is over, unless the reason is a good one, or was told.
    error: Option<Error>,
    /// Whether the subscriber is gone.
    is_left: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What the writer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// At least half of the buffer is free.
    Plenty,
    /// The subscriber is gone.
    Left,
}

impl Buffer {
    /// Puts a frame in. `false` if the buffer is full, and then it is not in.
    pub(super) fn offer(&self, frame: Frame) -> bool {
        let mut inner = self.lock();
        if inner.frames.len() >= MOST_FRAMES || inner.bytes >= MOST_BYTES {
            return false;
        }
        inner.put(frame);
        true
    }

    /// Puts the last frames in, whether or not there is room.
    pub(super) fn offer_last(&self, frame: Frame) {
        self.lock().put(frame);
    }

    /// Says that nothing more comes.
    pub(super) fn end(&self, error: Option<Error>) {
        let mut inner = self.lock();
        if !inner.is_over {
            (inner.is_over, inner.error) = (true, error);
        }
        wake(&mut inner.reader);
    }

    /// Waits for room, or for the subscriber to go.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Room> {
        let mut inner = self.lock();
        if inner.is_left {
            return Poll::Ready(Room::Left);
        }
        if inner.frames.len() <= MOST_FRAMES / 2 && inner.bytes <= MOST_BYTES / 2 {
            return Poll::Ready(Room::Plenty);
        }
        inner.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits for the subscriber to go.
    pub(super) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.is_left {
            return Poll::Ready(());
        }
        inner.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut inner = self.lock();
        if let Some(frame) = inner.frames.pop_front() {
            inner.bytes -= bytes(&frame);
            wake(&mut inner.writer);
            return Poll::Ready(Some(Ok(frame)));
        }
        if inner.is_over {
            return Poll::Ready(inner.error.take().map(Err));
        }
        inner.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The subscriber goes.
    pub(super) fn leave(&self) {
        let mut inner = self.lock();
        inner.is_left = true;
        inner.frames.clear();
        wake(&mut inner.writer);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, frame: Frame) {
        self.bytes += bytes(&frame);
        self.frames.push_back(frame);
        wake(&mut self.reader);
    }
}

fn bytes(frame: &Frame) -> usize {
    match frame {
        Frame::Event { envelope, .. } => envelope.len(),
        _ => 0,
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
