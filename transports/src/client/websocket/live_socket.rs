use std::collections::VecDeque;
use std::time::Duration;

use downlink::live::{Params, Token};
use downlink::transport::Frame;

use super::connection::Connection;
use super::upgrade::upgrade;
use crate::client::connect_options::ConnectOptions;
use crate::client::failure::Failure;
use crate::client::http_connection::within;
use crate::client::live::LiveEvent;
use crate::wire::{Command, Label, Message};

/// The name of the one subscription.
const SUB: &str = "0";

/// A socket that follows one live query.
pub(in crate::client) struct LiveSocket {
    connection: Box<Connection>,
    pending: VecDeque<LiveEvent>,
}

impl LiveSocket {
    /// Opens a socket and asks for the query. Returns when the server has answered.
    pub(in crate::client) async fn open(
        options: &ConnectOptions,
        query: String,
        params: Params,
        after: Option<Token>,
    ) -> Result<Self, Failure> {
        let io = upgrade(options, &[], None).await?;
        let mut connection = Box::new(Connection::new(io, options).await);
        let sub = Label::new(SUB).expect("a digit is a label");
        connection.send(Command::Watch { sub, query, params, after }.json().unwrap_or_default())?;
        let mut socket = Self { connection, pending: VecDeque::new() };
        let first = async { socket.next().await.transpose().map_err(Failure::before_ready) };
        match within(options.ready_deadline(), first).await? {
            Some(LiveEvent::Control(Frame::Problem { code, detail, retryable, .. })) => {
                Err(Failure::from_problem(&code, &detail, retryable))
            }
            Some(first) => {
                socket.pending.push_front(first);
                Ok(socket)
            }
            None => Err(Failure::unavailable("the socket ended before the query was answered")),
        }
    }

    pub(in crate::client) async fn next(&mut self) -> Option<Result<LiveEvent, Failure>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(Ok(event));
            }
            match self.connection.next().await? {
                Ok(Message::Live { message, .. }) => return Some(Ok(LiveEvent::Live(message))),
                Ok(Message::Frames { frames, .. }) => {
                    self.pending.extend(frames.into_iter().map(LiveEvent::Control));
                }
                Ok(_) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
    }

    pub(in crate::client) fn expect_every(&mut self, heartbeat: Option<Duration>) {
        self.connection.expect_every(heartbeat);
    }
}
