use std::collections::HashMap;
use std::future::poll_fn;
use std::task::{Context, Poll};

use downlink::{Error, ErrorKind, Expected, Frame, NewEvent, Result, StreamId, Subscribe};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::channel::Channel;
use super::link::Link;
use super::subscriber::{Outcome, Subscriber, Wish};
use crate::wire::{Command, Label, Message, Receipt};

/// What one socket may have at the server.
const SUBSCRIPTIONS: usize = 32;

/// The longest message that a server reads, in bytes.
const LARGEST_MESSAGE: usize = 256 << 10;

/// What a holder of the socket wants.
pub(super) enum Ask {
    Subscribe { subscribe: Subscribe, opened: oneshot::Sender<Result<Channel>> },
    Append(Append),
    Ping { answered: oneshot::Sender<()> },
    Close { closed: oneshot::Sender<()> },
}

pub(super) struct Append {
    pub(super) stream: StreamId,
    pub(super) expected: Expected,
    pub(super) events: Vec<NewEvent>,
    pub(super) stored: oneshot::Sender<Result<Receipt>>,
    /// Held until there is an answer.
    pub(super) permit: OwnedSemaphorePermit,
}

/// The task of a socket: the only one that reads and writes it.
pub(super) struct Driver {
    link: Link,
    asks: mpsc::Receiver<Ask>,
    subscribers: Vec<Subscriber>,
    appends: HashMap<Label, (oneshot::Sender<Result<Receipt>>, OwnedSemaphorePermit)>,
    pings: HashMap<Label, oneshot::Sender<()>>,
    labels: u64,
}

enum Event {
    Message(Option<Result<Message>>),
    Ask(Option<Ask>),
    Wish(usize, Wish),
}

/// Why the task ends.
enum End {
    /// The server has ended the socket, or it broke.
    Theirs(Option<Error>),
    /// Nobody wants it any more; who waits for the end of it is told.
    Ours(Option<oneshot::Sender<()>>),
}

impl Driver {
    pub(super) fn new(link: Link, asks: mpsc::Receiver<Ask>) -> Self {
        Self {
            link,
            asks,
            subscribers: Vec::new(),
            appends: HashMap::new(),
            pings: HashMap::new(),
            labels: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let end = self.drive().await;
        let (error, closed) = match end {
            End::Theirs(error) => (error, None),
            End::Ours(closed) => {
                self.link.close().await;
                (None, closed)
            }
        };
        for subscriber in &mut self.subscribers {
            subscriber.end(error.clone());
        }
        for (stored, _) in self.appends.into_values() {
            // Nobody has to wait for it any more.
            let _ = stored.send(Err(unknown(error.as_ref())));
        }
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    async fn drive(&mut self) -> End {
        loop {
            if self.asks.is_closed() && self.asks.is_empty() && self.subscribers.is_empty() {
                return End::Ours(None);
            }
            let end = match self.event().await {
                Event::Message(Some(Ok(message))) => self.heard(message),
                Event::Message(Some(Err(error))) => Err(End::Theirs(Some(error))),
                Event::Message(None) => Err(End::Theirs(None)),
                Event::Ask(Some(ask)) => self.asked(ask),
                Event::Ask(None) => Ok(()),
                Event::Wish(place, wish) => self.grant(place, &wish),
            };
            if let Err(end) = end {
                return end;
            }
        }
    }

    async fn event(&mut self) -> Event {
        let Self { link, asks, subscribers, .. } = self;
        let is_asked = !(asks.is_closed() && asks.is_empty());
        tokio::select! {
            message = link.next() => Event::Message(message),
            ask = asks.recv(), if is_asked => Event::Ask(ask),
            (place, wish) = poll_fn(|cx| poll_wishes(subscribers, cx)) => Event::Wish(place, wish),
        }
    }

    fn label(&mut self) -> Label {
        self.labels += 1;
        Label::new(self.labels.to_string()).expect("digits are a label")
    }

    fn send(&mut self, command: Option<String>) -> Result<(), End> {
        let Some(command) = command else { return Ok(()) };
        self.link.send(command).map_err(|error| End::Theirs(Some(error)))
    }

    fn asked(&mut self, ask: Ask) -> Result<(), End> {
        match ask {
            Ask::Subscribe { opened, .. } if self.subscribers.len() >= SUBSCRIPTIONS => {
                let message = format!("a socket has at most {SUBSCRIPTIONS} subscriptions");
                // Whoever has gone does not want to know.
                let _ = opened.send(Err(Error::new(ErrorKind::Overloaded, message)));
                Ok(())
            }
            Ask::Subscribe { subscribe, opened } => {
                let sub = self.label();
                let mut subscriber = Subscriber::new(subscribe, opened);
                let command = subscriber.open(sub);
                self.subscribers.push(subscriber);
                self.send(command)
            }
            Ask::Append(append) => self.append(append),
            Ask::Ping { answered } => {
                let req = self.label();
                let command = Command::Ping { req: req.clone() }.json();
                self.pings.insert(req, answered);
                self.send(command)
            }
            Ask::Close { closed } => Err(End::Ours(Some(closed))),
        }
    }

    fn append(&mut self, append: Append) -> Result<(), End> {
        let Append { stream, expected, events, stored, permit } = append;
        let req = self.label();
        let command = Command::Append { req: req.clone(), stream, expected, events }.json();
        let bytes = command.as_ref().map_or(0, String::len);
        if bytes > LARGEST_MESSAGE {
            let message = format!(
                "an append of {bytes} bytes is too long for a socket, where {LARGEST_MESSAGE} are \
                 the limit: append in parts, or over HTTP"
            );
            // Whoever has gone does not want to know.
            let _ = stored.send(Err(Error::too_large(message, LARGEST_MESSAGE)));
            return Ok(());
        }
        self.appends.insert(req, (stored, permit));
        self.send(command)
    }

    fn heard(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Frames { sub: Some(sub), frames } => return self.frames(&sub, frames),
            Message::Frames { sub: None, frames } => {
                for frame in frames {
                    self.frame_of_all(&frame);
                }
            }
            Message::Appended { req, receipt } => self.stored(&req, Ok(receipt)),
            Message::Refused { req, error } => self.stored(&req, Err(error)),
            Message::Pong { req } => {
                if let Some(answered) = self.pings.remove(&req) {
                    // Whoever has gone does not want to know.
                    let _ = answered.send(());
                }
            }
            // It was told apart already, by its name.
            _ => {}
        }
        Ok(())
    }

    fn stored(&mut self, req: &Label, answer: Result<Receipt>) {
        if let Some((stored, _)) = self.appends.remove(req) {
            // Whoever has gone does not want to know.
            let _ = stored.send(answer);
        }
    }

    fn frame_of_all(&mut self, frame: &Frame) {
        match frame {
            Frame::Bye { .. } => {
                for subscriber in &self.subscribers {
                    subscriber.take_last(frame.clone());
                }
            }
            Frame::Problem { code, detail, .. } => {
                tracing::warn!(%code, %detail, "the feed has a problem with a socket");
            }
            _ => {}
        }
    }

    fn frames(&mut self, sub: &Label, frames: Vec<Frame>) -> Result<(), End> {
        let place = self.subscribers.iter().position(|subscriber| subscriber.is(sub));
        // What is still on its way for one that was taken back comes again.
        let Some(place) = place else { return Ok(()) };
        for frame in frames {
            if let Frame::Ready { heartbeat: Some(heartbeat), .. } = frame {
                self.link.expect_every(heartbeat);
            }
            match self.subscribers[place].take(frame) {
                Outcome::Goes => {}
                Outcome::Full => return self.take_back(place),
                Outcome::Over => {
                    self.subscribers.swap_remove(place);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn take_back(&mut self, place: usize) -> Result<(), End> {
        let Some(sub) = self.subscribers[place].take_back() else { return Ok(()) };
        self.send(Command::Unsubscribe { sub }.json())
    }

    fn grant(&mut self, place: usize, wish: &Wish) -> Result<(), End> {
        match wish {
            Wish::Resume => {
                let sub = self.label();
                let command = self.subscribers[place].open(sub);
                self.send(command)
            }
            Wish::Leave => {
                let outcome = self.take_back(place);
                self.subscribers.swap_remove(place);
                outcome
            }
        }
    }
}

fn poll_wishes(subscribers: &mut [Subscriber], cx: &mut Context<'_>) -> Poll<(usize, Wish)> {
    for (place, subscriber) in subscribers.iter_mut().enumerate() {
        if let Poll::Ready(wish) = subscriber.poll_wish(cx) {
            return Poll::Ready((place, wish));
        }
    }
    Poll::Pending
}

fn unknown(why: Option<&Error>) -> Error {
    let why = why.map(|error| format!(": {error}")).unwrap_or_default();
    let message = format!("the socket ended before the append was answered{why}");
    Error::new(ErrorKind::OutcomeUnknown, message)
}
