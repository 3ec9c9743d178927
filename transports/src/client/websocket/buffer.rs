use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use downlink::transport::Frame;
use downlink::{Error, Result};

/// The capacity for one subscriber: frames, and bytes of their events.
const MAX_FRAMES: usize = 1_024;
const MAX_BYTES: usize = 1 << 20;

/// A bounded queue of frames from the socket's task to one subscriber.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Whether no more frames come.
    is_finished: bool,
    /// The error that the subscriber gets at the end.
    error: Option<Error>,
    /// Whether the subscriber was dropped.
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What the writer was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// At least half of the buffer is free.
    Free,
    /// The subscriber was dropped.
    Closed,
}

impl Buffer {
    /// Adds a frame. Returns `false` without adding it if the buffer is full.
    pub(super) fn push(&self, frame: Frame) -> bool {
        let mut inner = self.lock();
        if inner.frames.len() >= MAX_FRAMES || inner.bytes >= MAX_BYTES {
            return false;
        }
        inner.push(frame);
        true
    }

    /// Adds the last frame, even if the buffer is full.
    pub(super) fn push_last(&self, frame: Frame) {
        self.lock().push(frame);
    }

    /// Marks that no more frames come.
    pub(super) fn finish(&self, error: Option<Error>) {
        let mut inner = self.lock();
        if !inner.is_finished {
            (inner.is_finished, inner.error) = (true, error);
        }
        wake(&mut inner.reader);
    }

    /// Waits for room, or for the subscriber to be dropped.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Room> {
        let mut inner = self.lock();
        if inner.is_closed {
            return Poll::Ready(Room::Closed);
        }
        if inner.frames.len() <= MAX_FRAMES / 2 && inner.bytes <= MAX_BYTES / 2 {
            return Poll::Ready(Room::Free);
        }
        inner.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits for the subscriber to be dropped.
    pub(super) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.is_closed {
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
        if inner.is_finished {
            return Poll::Ready(inner.error.take().map(Err));
        }
        inner.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Marks that the subscriber was dropped.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.frames.clear();
        wake(&mut inner.writer);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, frame: Frame) {
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
