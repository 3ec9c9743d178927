//! A transaction as bytes.

use std::fs::File;
use std::io::{BufReader, Read, Result, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use bytes::{Buf, Bytes};
use downlink::Event;

use crate::row;

/// The first bytes of a record. The length of its body, a checksum and the body follow.
const MAGIC: [u8; 4] = *b"dlog";
pub(crate) const HEADER_LEN: usize = 12;

/// The place of a row in the file, and its checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) len: usize,
    pub(crate) checksum: u32,
}

/// Encodes events as a record for this offset.
pub(crate) fn encode(events: &[Event], offset: u64) -> Bytes {
    let body = row::pack(events.iter().map(row::encode));
    let len = u32::try_from(body.len()).expect("the writer closes a group long before 4 GiB");
    let checksum = checksum(offset, &body).to_le_bytes();
    [&MAGIC[..], &len.to_le_bytes(), &checksum, &body].concat().into()
}

/// Covers the offset, so that a copy of a log inside a payload is not read as records.
fn checksum(offset: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// The body of the record at `offset`, if there is a complete and undamaged one.
pub(crate) fn read(file: &File, offset: u64, end: u64) -> Result<Option<Bytes>> {
    let (mut header, body_at) = ([0; HEADER_LEN], add_len(offset, HEADER_LEN));
    if body_at > end {
        return Ok(None);
    }
    file.read_exact_at(&mut header, offset)?;
    let mut fields = &header[MAGIC.len()..];
    let (len, sum) = (fields.get_u32_le(), fields.get_u32_le());
    if !header.starts_with(&MAGIC) || u64::from(len) > end - body_at {
        return Ok(None);
    }
    let mut body = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut body, body_at)?;
    Ok((checksum(offset, &body) == sum).then(|| body.into()))
}

/// The rows of a body, and where they are.
pub(crate) fn rows(offset: u64, body: Bytes) -> Option<Vec<(Span, Bytes)>> {
    let mut end = add_len(offset, HEADER_LEN);
    let rows = row::unpack(body)?.into_iter().map(|row| {
        let offset = add_len(end, size_of::<u32>());
        end = add_len(offset, row.len());
        (Span { offset, len: row.len(), checksum: crc32fast::hash(&row) }, row)
    });
    Some(rows.collect())
}

/// Whether an undamaged record begins after `offset`.
pub(crate) fn is_followed(mut file: &File, offset: u64, end: u64) -> Result<bool> {
    file.seek(SeekFrom::Start(offset + 1))?;
    let mut last_four = 0_u32;
    for (byte, place) in BufReader::new(file).bytes().zip(offset + 1..) {
        last_four = last_four << 8 | u32::from(byte?);
        if last_four == u32::from_be_bytes(MAGIC) && read(file, place - 3, end)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file begins like a log, or is a prefix of one.
pub(crate) fn is_log(file: &File) -> Result<bool> {
    let mut start = [0; MAGIC.len()];
    let len = file.read_at(&mut start, 0)?;
    Ok(MAGIC.starts_with(&start[..len]))
}

pub(crate) fn add_len(offset: u64, bytes: usize) -> u64 {
    offset + u64::try_from(bytes).expect("a length fits 64 bits")
}
