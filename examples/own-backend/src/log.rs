use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, absolute};
use std::{fs::File, io};

use downlink::commit::CommitOutcome;
use downlink::memory::LogIndex;
use downlink::{Error, ErrorKind, Event, Position, Result};

use crate::record::{self, HEADER_LEN, Span, add_len};
use crate::row;

/// The file, and an index in memory of where each event is. The writer and all readers
/// share it.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    pub(crate) index: LogIndex<Span>,
}

impl Log {
    /// Opens a file, or creates an empty one, once no other handle has it open.
    /// Also returns the offset of the next record.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, u64)> {
        let mut options = File::options();
        // Readable and writable by its owner only.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        file.lock()?;
        // The name of a new file is in its folder, so sync that, too.
        absolute(path)?.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        let log = Self { file, index: LogIndex::new() };
        log.recover().map(|end| (log, end))
    }

    /// Reads all records, and truncates one that a crash left incomplete.
    fn recover(&self) -> io::Result<u64> {
        let (mut end, len) = (0, self.file.metadata()?.len());
        while let Some(body) = record::read(&self.file, end, len)? {
            let next = add_len(end, HEADER_LEN + body.len());
            for (span, row) in record::rows(end, body).ok_or_else(|| damaged(end))? {
                let event = row::decode(self.index.head().next, row);
                self.index.extend([(&event.ok_or_else(|| damaged(span.offset))?, span)]);
            }
            end = next;
        }
        if end < len {
            if !record::is_log(&self.file)? || record::is_followed(&self.file, end, len)? {
                return Err(damaged(end));
            }
            tracing::warn!(from = end, to = len, "truncating an incomplete transaction");
            self.file.set_len(end).and_then(|()| self.file.sync_all())?;
        }
        Ok(end)
    }

    /// Stores events durably as one record, and advances `end`.
    pub(crate) fn append(&self, events: &[Event], end: &mut u64) -> CommitOutcome {
        let record = record::encode(events, *end);
        let written = self.file.write_all_at(&record, *end).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Synced, so that a crash cannot restore the failed write.
            let is_undone = self.file.set_len(*end).and_then(|()| self.file.sync_all()).is_ok();
            let outcome =
                if is_undone { CommitOutcome::NotCommitted } else { CommitOutcome::Unknown };
            return outcome(io_error(error));
        }
        let rows =
            record::rows(*end, record.slice(HEADER_LEN..)).expect("rows that were just encoded");
        self.index.extend(events.iter().zip(rows.into_iter().map(|(span, _)| span)));
        *end = add_len(*end, record.len());
        CommitOutcome::Committed
    }

    /// Reads an event from the disk.
    pub(crate) fn fetch(&self, position: Position, span: Span) -> Result<Event> {
        let mut row = vec![0; span.len];
        self.file.read_exact_at(&mut row, span.offset).map_err(io_error)?;
        let is_sound = crc32fast::hash(&row) == span.checksum;
        let event = is_sound.then(|| row::decode(position, row.into())).flatten();
        event.ok_or_else(|| io_error(damaged(span.offset)))
    }
}

fn damaged(offset: u64) -> io::Error {
    let message = format!("damaged at byte {offset}, or not a log: restore the file from a backup");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Converts an I/O error.
pub(crate) fn io_error(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::StorageFull
        }
        io::ErrorKind::InvalidData => ErrorKind::Corrupt,
        _ => ErrorKind::Backend,
    };
    Error::with_source(kind, "cannot access the file of the log", error)
}
