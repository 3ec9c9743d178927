use std::collections::HashMap;
use std::future::poll_fn;
use std::task::{Context, Poll};

use downlink::transport::Frame;
use downlink::{Error, ErrorKind, Expected, NewEvent, Result, StreamId, Subscribe};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::connection::Connection;
use super::socket_subscription::SocketSubscription;
use super::subscriber::{Action, Outcome, Subscriber};
use crate::client::failure::Failure;
use crate::wire::{Command, Label, Message, Receipt};

/// How many subscriptions a server accepts on one socket.
const MAX_SUBSCRIPTIONS: usize = 32;

/// The longest message that a server reads, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// A request of a [`Socket`](super::Socket) to its task.
pub(super) enum SocketRequest {
    Subscribe { subscribe: Subscribe, opened: oneshot::Sender<Result<SocketSubscription>> },
    Append(Append),
    Ping { answered: oneshot::Sender<()> },
    Close { closed: oneshot::Sender<()> },
}

pub(super) struct Append {
    pub(super) stream: StreamId,
    pub(super) expected: Expected,
    pub(super) events: Vec<NewEvent>,
    pub(super) stored: oneshot::Sender<Result<Receipt>>,
    /// Held until the append is answered.
    pub(super) permit: OwnedSemaphorePermit,
}

/// The task of a socket, which alone reads and writes it.
pub(super) struct Driver {
    connection: Connection,
    requests: mpsc::Receiver<SocketRequest>,
    subscribers: Vec<Subscriber>,
    appends: HashMap<Label, (oneshot::Sender<Result<Receipt>>, OwnedSemaphorePermit)>,
    pings: HashMap<Label, oneshot::Sender<()>>,
    /// How many labels were used.
    labels: u64,
}

enum DriverEvent {
    Message(Option<Result<Message, Failure>>),
    Request(Option<SocketRequest>),
    /// An action for the subscriber with this index.
    Action(usize, Action),
}

/// Why the task ends.
enum Closed {
    /// The server closed the socket, or the connection broke.
    ByServer(Option<Error>),
    /// The socket was closed or dropped. The sender reports the end.
    ByClient(Option<oneshot::Sender<()>>),
}

impl Driver {
    pub(super) fn new(connection: Connection, requests: mpsc::Receiver<SocketRequest>) -> Self {
        Self {
            connection,
            requests,
            subscribers: Vec::new(),
            appends: HashMap::new(),
            pings: HashMap::new(),
            labels: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let (error, closed) = match self.drive().await {
            Closed::ByServer(error) => (error, None),
            Closed::ByClient(closed) => {
                self.connection.close().await;
                (None, closed)
            }
        };
        for subscriber in &mut self.subscribers {
            subscriber.end(error.clone());
        }
        for (stored, _) in self.appends.into_values() {
            // Fails if the caller no longer waits.
            let _ = stored.send(Err(unknown(error.as_ref())));
        }
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    async fn drive(&mut self) -> Closed {
        loop {
            let has_requests = !(self.requests.is_closed() && self.requests.is_empty());
            if !has_requests && self.subscribers.is_empty() {
                return Closed::ByClient(None);
            }
            let outcome = match self.event().await {
                DriverEvent::Message(Some(Ok(message))) => self.on_message(message),
                DriverEvent::Message(Some(Err(failure))) => {
                    Err(Closed::ByServer(Some(failure.error)))
                }
                DriverEvent::Message(None) => Err(Closed::ByServer(None)),
                DriverEvent::Request(Some(request)) => self.on_request(request),
                DriverEvent::Request(None) => Ok(()),
                DriverEvent::Action(index, action) => self.perform(index, &action),
            };
            if let Err(closed) = outcome {
                return closed;
            }
        }
    }

    async fn event(&mut self) -> DriverEvent {
        let Self { connection, requests, subscribers, .. } = self;
        let has_requests = !(requests.is_closed() && requests.is_empty());
        tokio::select! {
            message = connection.next() => DriverEvent::Message(message),
            request = requests.recv(), if has_requests => DriverEvent::Request(request),
            (index, action) = poll_fn(|cx| poll_actions(subscribers, cx)) => {
                DriverEvent::Action(index, action)
            }
        }
    }

    fn next_label(&mut self) -> Label {
        self.labels += 1;
        Label::new(self.labels.to_string()).expect("digits are a valid label")
    }

    fn send(&mut self, command: Option<String>) -> Result<(), Closed> {
        let Some(command) = command else { return Ok(()) };
        self.connection.send(command).map_err(|error| Closed::ByServer(Some(error)))
    }

    fn on_request(&mut self, request: SocketRequest) -> Result<(), Closed> {
        match request {
            SocketRequest::Subscribe { opened, .. }
                if self.subscribers.len() >= MAX_SUBSCRIPTIONS =>
            {
                let message = format!("a socket has at most {MAX_SUBSCRIPTIONS} subscriptions");
                // Fails if the caller no longer waits.
                let _ = opened.send(Err(Error::new(ErrorKind::Overloaded, message)));
                Ok(())
            }
            SocketRequest::Subscribe { subscribe, opened } => {
                let sub = self.next_label();
                let mut subscriber = Subscriber::new(subscribe, opened);
                let command = subscriber.subscribe(sub);
                self.subscribers.push(subscriber);
                self.send(command)
            }
            SocketRequest::Append(append) => self.append(append),
            SocketRequest::Ping { answered } => {
                let req = self.next_label();
                let command = Command::Ping { req: req.clone() }.json();
                // A server that answers none must not make it grow.
                self.pings.retain(|_, answered| !answered.is_closed());
                self.pings.insert(req, answered);
                self.send(command)
            }
            SocketRequest::Close { closed } => Err(Closed::ByClient(Some(closed))),
        }
    }

    fn append(&mut self, append: Append) -> Result<(), Closed> {
        let Append { stream, expected, events, stored, permit } = append;
        let req = self.next_label();
        let command = Command::Append { req: req.clone(), stream, expected, events }.json();
        let bytes = command.as_ref().map_or(0, String::len);
        if bytes > MAX_MESSAGE_BYTES {
            let message = format!(
                "the append takes {bytes} bytes, and a socket accepts {MAX_MESSAGE_BYTES}: append fewer \
                 events at a time, or over HTTP"
            );
            // Fails if the caller no longer waits.
            let _ = stored.send(Err(Error::too_large(message, MAX_MESSAGE_BYTES)));
            return Ok(());
        }
        self.appends.insert(req, (stored, permit));
        self.send(command)
    }

    fn on_message(&mut self, message: Message) -> Result<(), Closed> {
        match message {
            Message::Frames { sub: Some(sub), frames } => return self.on_frames(&sub, frames),
            Message::Frames { sub: None, frames } => {
                for frame in frames {
                    self.on_socket_frame(&frame);
                }
            }
            Message::Appended { req, receipt } => self.on_append_answer(&req, Ok(receipt)),
            Message::Refused { req, error } => self.on_append_answer(&req, Err(error)),
            Message::Pong { req } => {
                if let Some(answered) = self.pings.remove(&req) {
                    // Fails if the caller no longer waits.
                    let _ = answered.send(());
                }
            }
            // `Unsubscribed`: its label is no longer in use.
            _ => {}
        }
        Ok(())
    }

    fn on_append_answer(&mut self, req: &Label, answer: Result<Receipt>) {
        if let Some((stored, _)) = self.appends.remove(req) {
            // Fails if the caller no longer waits.
            let _ = stored.send(answer);
        }
    }

    fn on_socket_frame(&mut self, frame: &Frame) {
        match frame {
            Frame::Bye { .. } => {
                for subscriber in &self.subscribers {
                    subscriber.on_last_frame(frame.clone());
                }
            }
            Frame::Problem { code, detail, .. } => {
                tracing::warn!(%code, %detail, "the feed reports a problem with a socket");
            }
            _ => {}
        }
    }

    fn on_frames(&mut self, sub: &Label, frames: Vec<Frame>) -> Result<(), Closed> {
        let index = self.subscribers.iter().position(|subscriber| subscriber.is(sub));
        // Frames in flight for a subscription that was closed will be sent again.
        let Some(index) = index else { return Ok(()) };
        for frame in frames {
            if let Frame::Ready { heartbeat, .. } = frame {
                self.connection.expect_every(heartbeat);
            }
            match self.subscribers[index].on_frame(frame) {
                Outcome::Accepted => {}
                Outcome::Full => return self.unsubscribe(index),
                Outcome::Ended => {
                    self.subscribers.swap_remove(index);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn unsubscribe(&mut self, index: usize) -> Result<(), Closed> {
        let Some(sub) = self.subscribers[index].take_label() else { return Ok(()) };
        self.send(Command::Unsubscribe { sub }.json())
    }

    fn perform(&mut self, index: usize, action: &Action) -> Result<(), Closed> {
        match action {
            Action::Resubscribe => {
                let sub = self.next_label();
                let command = self.subscribers[index].subscribe(sub);
                self.send(command)
            }
            Action::Remove => {
                let outcome = self.unsubscribe(index);
                self.subscribers.swap_remove(index);
                outcome
            }
        }
    }
}

fn poll_actions(subscribers: &mut [Subscriber], cx: &mut Context<'_>) -> Poll<(usize, Action)> {
    for (index, subscriber) in subscribers.iter_mut().enumerate() {
        if let Poll::Ready(action) = subscriber.poll_action(cx) {
            return Poll::Ready((index, action));
        }
    }
    Poll::Pending
}

fn unknown(cause: Option<&Error>) -> Error {
    let cause = cause.map(|error| format!(": {error}")).unwrap_or_default();
    let message = format!("the socket ended before the append was answered{cause}");
    Error::new(ErrorKind::OutcomeUnknown, message)
}
