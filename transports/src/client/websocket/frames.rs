use std::collections::VecDeque;

use downlink::transport::Frame;
use downlink::{Error, ErrorKind, Subscribe};

use super::connection::Connection;
use super::upgrade::upgrade;
use crate::client::connect_options::ConnectOptions;
use crate::client::failure::Failure;
use crate::client::http_connection::within;
use crate::client::request;
use crate::wire::{Command, Label, Message};

/// The name of a subscription that is opened by URL.
const SUB: &str = "0";

/// Opens a socket for one subscription: by URL, so that a refusal is an HTTP
/// status, or by a frame if a URL cannot express the filter.
pub(in crate::client) async fn open(
    options: &ConnectOptions,
    subscribe: &Subscribe,
) -> Result<Frames, Failure> {
    let Ok(filter) = request::filter_query(subscribe.filter()) else {
        return open_by_frame(options, subscribe).await;
    };
    let (cursor, after) = request::encode_after(subscribe.after());
    // Without a parameter the server would not open a subscription.
    let after = if after.is_empty() { "after=start".to_owned() } else { after };
    let io = upgrade(options, &[filter, after], cursor).await?;
    Ok(Frames::new(Connection::new(io, options).await))
}

async fn open_by_frame(options: &ConnectOptions, subscribe: &Subscribe) -> Result<Frames, Failure> {
    let sub = Label::new(SUB).expect("a digit is a label");
    let (after, filter) = (subscribe.after(), subscribe.filter().clone());
    let command = Command::Subscribe { sub, after, filter }.json().ok_or_else(not_expressible)?;
    let io = upgrade(options, &[], None).await?;
    let mut frames = Frames::new(Connection::new(io, options).await);
    frames.connection.send(command)?;
    let first = async { frames.next().await.transpose().map_err(Failure::before_ready) };
    match within(options.ready_deadline(), first).await? {
        Some(Frame::Problem { code, detail, retryable, .. }) => {
            Err(Failure::from_problem(&code, &detail, retryable))
        }
        Some(first) => {
            frames.pending.push_front(first);
            Ok(frames)
        }
        None => Err(Failure::unavailable("the socket ended before the subscription was open")),
    }
}

pub(super) fn not_expressible() -> Error {
    let message = "the wire format cannot express a filter that combines several lists of \
                   alternatives: write it as one list of alternatives";
    Error::new(ErrorKind::Invalid, message)
}

/// The frames of one subscription, as they were sent.
#[derive(Debug)]
pub(in crate::client) struct Frames {
    /// Boxed, because the enum of all transports would be large otherwise.
    connection: Box<Connection>,
    pending: VecDeque<Frame>,
    has_ended: bool,
}

impl Frames {
    fn new(connection: Connection) -> Self {
        Self { connection: Box::new(connection), pending: VecDeque::new(), has_ended: false }
    }

    pub(in crate::client) async fn next(&mut self) -> Option<Result<Frame, Failure>> {
        loop {
            if let Some(frame) = self.pending.pop_front() {
                return Some(Ok(self.inspect(frame)));
            }
            if self.has_ended {
                return None;
            }
            match self.connection.next().await {
                Some(Ok(Message::Frames { frames, .. })) => self.pending.extend(frames),
                Some(Ok(_)) => {}
                Some(Err(failure)) => {
                    self.has_ended = true;
                    return Some(Err(failure));
                }
                None => self.has_ended = true,
            }
        }
    }

    fn inspect(&mut self, frame: Frame) -> Frame {
        match frame {
            Frame::Ready { heartbeat, .. } => self.connection.expect_every(heartbeat),
            // The server leaves the socket open, but sends nothing more.
            Frame::Reset { .. } => self.has_ended = true,
            _ => {}
        }
        frame
    }
}
