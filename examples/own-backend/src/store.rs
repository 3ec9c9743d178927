use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use downlink::commit::{Commits, Writer, WriterOptions};
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, Error, ErrorKind, EventStore, Result};
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::driver::Driver;
use crate::log::{Log, io_error};

/// A log in one append-only file. Clones share it.
#[derive(Clone, Debug)]
pub struct FileStore {
    log: Arc<Log>,
    writer: Arc<Writer<Driver>>,
}

impl FileStore {
    /// Opens the log in this file, or creates an empty one. Waits until no other
    /// handle, of this process or another, has it open.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if the file is not a log, or damaged before its last
    /// transaction; [`Backend`](ErrorKind::Backend) if it cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing stays open. A thread that waits for another
    /// handle ends when that handle is closed.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let (opened, log) = oneshot::channel();
        // Runs on the thread of the writer, which may wait for the disk.
        let open = async move {
            let (log, end) = Log::open(&path).map_err(io_error)?;
            let log = Arc::new(log);
            // Without a receiver, the future of the caller was dropped.
            let _ = opened.send(Arc::clone(&log));
            Ok(Driver { log, end, rows: Vec::new(), is_broken: false })
        };
        let writer = Arc::new(Writer::start(open, WriterOptions::new()).await?);
        let log = log.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "the writer ended before the log was open")
        })?;
        Ok(Self { log, writer })
    }

    /// Refuses further appends, and returns when the queued ones are stored.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the store.
    pub async fn close(&self) {
        self.writer.shutdown().await;
    }
}

impl FileStore {
    /// Reads where blocking is allowed.
    async fn read_blocking(
        &self,
        page: impl FnOnce(&Log) -> Result<Page> + Send + 'static,
    ) -> Result<Page> {
        let log = Arc::clone(&self.log);
        let aborted = |error| Error::with_source(ErrorKind::Backend, "a read was aborted", error);
        spawn_blocking(move || page(&log)).await.map_err(aborted)?
    }
}

#[async_trait]
impl EventStore for FileStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.writer.append(append, self).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.read_blocking(move |log| {
            log.index.read_log(&read, |position, span| log.fetch(position, span))
        })
        .await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.read_blocking(move |log| {
            log.index.read_stream(&read, |position, span| log.fetch(position, span))
        })
        .await
    }

    async fn head(&self) -> Result<Cursor> {
        Ok(self.log.index.head().cursor)
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.writer.commits())
    }
}
