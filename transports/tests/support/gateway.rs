//! What may stand between a client and a feed: it passes bytes on, or cuts every
//! connection and answers by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{listener, soon};

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    /// What it answers; `None` while it passes everything on.
    answer: watch::Sender<Option<String>>,
    answered: Arc<AtomicUsize>,
}

impl Gateway {
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        let (listener, address) = listener().await;
        let answer = watch::Sender::new(None);
        let answered = Arc::default();
        tokio::spawn(accept(listener, upstream, answer.subscribe(), Arc::clone(&answered)));
        Self { address, answer, answered }
    }

    /// Cuts every connection, and gives this answer to every request.
    pub(crate) fn answer(&self, answer: impl Into<String>) {
        self.answer.send_replace(Some(answer.into()));
    }

    /// Passes everything on.
    pub(crate) fn pass(&self) {
        self.answer.send_replace(None);
    }

    /// Waits until it has given `count` more answers.
    pub(crate) async fn has_answered(&self, count: usize) {
        let until = self.answered.load(Ordering::SeqCst) + count;
        soon("requests to the gateway", async {
            while self.answered.load(Ordering::SeqCst) < until {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    answer: watch::Receiver<Option<String>>,
    answered: Arc<AtomicUsize>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (mut answer, answered) = (answer.clone(), Arc::clone(&answered));
        tokio::spawn(async move {
            let given = answer.borrow_and_update().clone();
            if let Some(given) = given {
                return respond(client, &given, &answered).await;
            }
            tokio::select! {
                _ = answer.changed() => {}
                () = pass(client, upstream) => {}
            }
        });
    }
}

async fn pass(mut client: TcpStream, upstream: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(upstream).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

async fn respond(mut client: TcpStream, answer: &str, answered: &AtomicUsize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let _ = client.write_all(answer.as_bytes()).await;
    let _ = client.shutdown().await;
    answered.fetch_add(1, Ordering::SeqCst);
    // Until the client has closed, so that it reads the whole answer.
    let _ = client.read_to_end(&mut Vec::new()).await;
}
