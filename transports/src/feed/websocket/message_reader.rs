use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use downlink::budget::ByteBudget;
use tokio::io::{AsyncRead, ReadBuf};

use super::message_decoder::{Message, MessageDecoder};
use super::read_error::ReadError;
use crate::stall_timer::{STALL_DEADLINE, StallTimer};

/// How many bytes are read at a time.
const READ_BYTES: usize = 4 << 10;

/// Reads the messages of a client.
///
/// It holds memory only for a message that has begun, and for what was received
/// behind one until that is taken. Both are bounded, counted, and given back.
#[derive(Debug)]
pub(super) struct MessageReader {
    decoder: MessageDecoder,
    /// What was received behind a message, and how much of it is decoded.
    rest: Vec<u8>,
    decoded: usize,
    /// Runs while something is unfinished.
    timer: Option<Box<StallTimer>>,
    has_failed: bool,
}

impl MessageReader {
    pub(super) fn new(budget: ByteBudget) -> Self {
        let decoder = MessageDecoder::new(budget);
        Self { decoder, rest: Vec::new(), decoded: 0, timer: None, has_failed: false }
    }

    /// Reads up to the next message. After an error there is no further one.
    pub(super) fn poll_next<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Message, ReadError>> {
        let message = ready!(self.poll_message(io, cx));
        if !self.decoder.is_unfinished() {
            self.timer = None;
        }
        if message.is_err() {
            self.has_failed = true;
            self.decoder.discard_messages();
        }
        Poll::Ready(message)
    }

    /// Reads up to the close frame of the client, if it can be found.
    pub(super) async fn skip_to_close<T: AsyncRead + Unpin>(&mut self, io: &mut T) {
        self.decoder.discard_messages();
        while !self.has_failed {
            let next = std::future::poll_fn(|cx| self.poll_next(io, cx)).await;
            if matches!(next, Ok(Message::Close(_))) {
                break;
            }
        }
    }

    fn poll_message<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Message, ReadError>> {
        if let Some(message) = self.decode_rest()? {
            return Poll::Ready(Ok(message));
        }
        loop {
            let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            let Poll::Ready(read) = Pin::new(&mut *io).poll_read(cx, &mut buffer) else {
                return self.poll_stalled(cx).map(Err);
            };
            read?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(ReadError::Ended));
            }
            let mut input = buffer.filled();
            let message = self.decoder.decode(&mut input)?;
            self.rest = input.to_vec();
            if let Some(message) = message {
                return Poll::Ready(Ok(message));
            }
        }
    }

    /// Decodes up to the next message in what was received already.
    fn decode_rest(&mut self) -> Result<Option<Message>, ReadError> {
        let mut input = &self.rest[self.decoded..];
        let message = self.decoder.decode(&mut input)?;
        self.decoded = self.rest.len() - input.len();
        if input.is_empty() {
            (self.rest, self.decoded) = (Vec::new(), 0);
        }
        Ok(message)
    }

    /// Notes that nothing is read for a while, which does not count as time in which
    /// the client stalls.
    pub(super) fn pause(&mut self) {
        if let Some(timer) = &mut self.timer {
            timer.received(0);
        }
    }

    /// Waits until what is unfinished has stalled.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<ReadError> {
        if !self.decoder.is_unfinished() {
            self.timer = None;
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::new(StallTimer::new(STALL_DEADLINE)));
        let received = self.decoder.take_received();
        if received > 0 {
            timer.received(received);
        }
        timer.poll_stalled(cx).map(ReadError::Stalled)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, advance};

    use super::*;

    struct Client {
        reader: MessageReader,
        ours: DuplexStream,
        theirs: DuplexStream,
        budget: ByteBudget,
    }

    impl Client {
        fn new() -> Self {
            let budget = ByteBudget::new(1 << 20);
            let (ours, theirs) = duplex(1 << 20);
            Self { reader: MessageReader::new(budget.clone()), ours, theirs, budget }
        }

        async fn next(&mut self) -> Result<Message, ReadError> {
            poll_fn(|cx| self.reader.poll_next(&mut self.ours, cx)).await
        }

        async fn send(&mut self, bytes: &[u8]) {
            self.theirs.write_all(bytes).await.unwrap();
        }

        /// Whether nothing is allocated.
        fn is_small(&self) -> bool {
            let MessageReader { decoder, rest, timer, .. } = &self.reader;
            rest.capacity() == 0 && timer.is_none() && !decoder.is_unfinished()
        }
    }

    /// The head of a frame, with a mask of zeros.
    fn head(first: u8, len: u16) -> Vec<u8> {
        [&[first, 0xfe][..], &len.to_be_bytes(), &[0; 4]].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_reader_holds_nothing() {
        let mut client = Client::new();
        assert!(client.next().now_or_never().is_none() && client.is_small());
        for len in [10, 60_000] {
            let text = vec![b'x'; usize::from(len)];
            client.send(&head(0x81, len)).await;
            assert!(client.next().now_or_never().is_none() && !client.is_small());
            client.send(&text).await;
            let Ok(Message::Text(message)) = client.next().await else { panic!("a text") };
            assert_eq!(message.text.as_bytes(), text);
            assert!(client.next().now_or_never().is_none() && client.is_small());
            drop(message);
            assert_eq!(client.budget.used(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_a_message_is_kept() {
        let mut client = Client::new();
        client
            .send(&[&b"\x8a\x80\0\0\0\0"[..], &b"\x81\x81\0\0\0\0a"[..], &head(0x01, 9)].concat())
            .await;
        assert!(matches!(client.next().await, Ok(Message::Pong(_))));
        assert!(matches!(client.next().await, Ok(Message::Text(message)) if message.text == "a"));
        assert!(client.next().now_or_never().is_none() && !client.is_small());
        client.theirs.shutdown().await.unwrap();
        assert!(matches!(client.next().await, Err(ReadError::Ended)));
    }

    /// Sends these bytes one by one with a pause of so many seconds, and returns after
    /// how many seconds the reader gives up.
    async fn stalled_after(bytes: &[u8], pause: u64) -> Option<u64> {
        let mut client = Client::new();
        let began = Instant::now();
        for byte in bytes {
            client.send(&[*byte]).await;
            let next = tokio::time::timeout(Duration::from_secs(pause), client.next());
            match next.await {
                Ok(Err(ReadError::Stalled(_))) => return Some(began.elapsed().as_secs()),
                Ok(other) => drop(other.unwrap()),
                Err(_) => {}
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unfinished_has_a_deadline() {
        let message = [&head(0x81, 100)[..], &[b'x'; 100]].concat();
        for part in [1, 5, 9] {
            assert_eq!(stalled_after(&message[..part], 21).await, Some(20), "{part}");
        }
        // Not a byte at a time for ever: the whole has a deadline, too.
        assert_eq!(stalled_after(&message, 19).await, Some(60));
        assert_eq!(stalled_after(&message[..10], 5).await, None);
        let fragment = [&head(0x01, 1)[..], b"x"].concat();
        let mut with_pings = fragment.clone();
        for _ in 0..30 {
            with_pings.extend(b"\x89\x80\0\0\0\0");
        }
        // 20 seconds after the last byte of the fragment, which pings do not prolong.
        assert_eq!(stalled_after(&with_pings, 1).await, Some(28));
        let with_fragments = [&fragment[..], &head(0x00, 0), &head(0x00, 0)].concat();
        assert_eq!(stalled_after(&with_fragments, 2).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_may_be_slow_but_steady() {
        let mut client = Client::new();
        client.send(&head(0x81, 65_535)).await;
        for _ in 0..63 {
            client.send(&[b'x'; 1 << 10]).await;
            assert!(client.next().now_or_never().is_none());
            advance(Duration::from_millis(900)).await;
        }
        client.send(&[b'x'; 1_023]).await;
        assert!(matches!(client.next().await, Ok(Message::Text(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_is_read_does_not_count() {
        let mut client = Client::new();
        client.send(&head(0x81, 65_535)).await;
        for _ in 0..3 {
            assert!(client.next().now_or_never().is_none());
            client.reader.pause();
            advance(Duration::from_mins(10)).await;
            client.send(b"x").await;
        }
        assert!(client.next().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_close_frame_is_found_behind_other_messages() {
        let mut client = Client::new();
        let text = [&head(0x81, 1)[..], b"\xff"].concat();
        client.send(&[&text[..], &text, b"\x88\x80\0\0\0\0rest"].concat()).await;
        client.reader.skip_to_close(&mut client.ours).await;
        // And the end, without one.
        let mut client = Client::new();
        drop(std::mem::replace(&mut client.theirs, duplex(1).0));
        client.reader.skip_to_close(&mut client.ours).await;
        assert!(client.reader.has_failed);
    }
}
