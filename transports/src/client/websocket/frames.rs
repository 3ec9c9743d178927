use std::collections::VecDeque;

use downlink::{Error, ErrorKind, Frame, Result, Subscribe};

use super::link::Link;
use super::upgrade::upgrade;
use crate::client::client::Client;
use crate::client::failure::Failure;
use crate::client::pauses::Told;
use crate::client::request;
use crate::wire::{Command, Label, Message, parse};

/// What the server calls the subscription of a URL.
const SUB: &str = "0";

/// Opens a socket for one subscription: in the URL, so that a refusal is a
/// status, or by a frame if a URL cannot say its filter.
pub(in crate::client) async fn open(
    client: &Client,
    subscribe: &Subscribe,
) -> Result<Frames, Failure> {
    let Ok(filter) = request::filter_query(subscribe.wanted()) else {
        return open_by_frame(client, subscribe).await;
    };
    let (cursor, after) = request::beginning(subscribe.begins_after());
    // Without any parameter there would be no subscription.
    let after = if after.is_empty() { "after=start".to_owned() } else { after };
    let io = upgrade(client, &[filter, after], cursor).await?;
    Ok(Frames::new(Link::new(io, client.event_limit).await))
}

async fn open_by_frame(client: &Client, subscribe: &Subscribe) -> Result<Frames, Failure> {
    let sub = Label::new(SUB).expect("a digit is a label");
    let (after, filter) = (subscribe.begins_after(), subscribe.wanted().clone());
    let command = Command::Subscribe { sub, after, filter }.json().ok_or_else(unsayable)?;
    let io = upgrade(client, &[], None).await?;
    let mut frames = Frames::new(Link::new(io, client.event_limit).await);
    frames.link.send(command)?;
    match frames.next().await.transpose()? {
        Some(Frame::Problem { code, detail, retryable }) => {
            Err(parse::problem(&code, &detail, retryable).into())
        }
        Some(first) => {
            frames.waiting.push_front(first);
            Ok(frames)
        }
        None => Err(Failure::late("the socket ended before the subscription was open")),
    }
}

pub(super) fn unsayable() -> Error {
    let message = "a filter of several alternatives that have to hold at once cannot be said: \
                   write it as alternatives of one item each";
    Error::new(ErrorKind::Invalid, message)
}

/// The frames of one subscription, as they were sent.
#[derive(Debug)]
pub(in crate::client) struct Frames {
    /// Boxed, because it is kept beside smaller ones of other transports.
    link: Box<Link>,
    waiting: VecDeque<Frame>,
    is_over: bool,
}

impl Frames {
    fn new(link: Link) -> Self {
        Self { link: Box::new(link), waiting: VecDeque::new(), is_over: false }
    }

    #[expect(clippy::unused_self, reason = "what the server says is in its frames")]
    pub(in crate::client) fn told(&self) -> Told {
        Told::Nothing
    }

    pub(in crate::client) async fn next(&mut self) -> Option<Result<Frame>> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Some(Ok(self.look_at(frame)));
            }
            if self.is_over {
                return None;
            }
            match self.link.next().await {
                Some(Ok(Message::Frames { frames, .. })) => self.waiting.extend(frames),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                None => self.is_over = true,
            }
        }
    }

    fn look_at(&mut self, frame: Frame) -> Frame {
        match frame {
            Frame::Ready { heartbeat: Some(heartbeat), .. } => self.link.expect_every(heartbeat),
            // The socket stays, and has nothing more to say.
            Frame::Reset { .. } => self.is_over = true,
            _ => {}
        }
        frame
    }
}
