//! An event as bytes.

use bytes::{Buf, Bytes};
use downlink::event::{ContentType, StoredParts, Timestamp};
use downlink::{Event, EventId, NewEvent, Position, Version};

/// Encodes an event without its position, which follows from the order of the rows.
pub(crate) fn encode(event: &Event) -> Vec<u8> {
    let (id, content) = (event.id(), event.content());
    let version = event.version().get().to_le_bytes();
    let recorded_at = event.recorded_at().as_micros().to_le_bytes();
    let parts = [id.as_bytes(), &version[..], &recorded_at, content.metadata(), content.payload()];
    let names = [event.stream().as_str(), event.event_type().as_str()];
    let tags = content.tags().iter().map(downlink::Tag::as_str);
    let names = names.into_iter().chain([event.content_type().as_str()]).chain(tags);
    pack(parts.into_iter().chain(names.map(str::as_bytes)))
}

/// Decodes what [`encode`] returned, or returns `None` if the row is something else.
pub(crate) fn decode(position: Position, row: Bytes) -> Option<Event> {
    let fields = unpack(row)?;
    let [id, version, recorded_at, metadata, payload, names @ ..] = &fields[..] else {
        return None;
    };
    let number = |field: &Bytes| Some(u64::from_le_bytes(field[..].try_into().ok()?));
    let mut names = names.iter().map(|name| str::from_utf8(name).ok());
    let stream = names.next()??.try_into().ok()?;
    let content = NewEvent::from_stored(StoredParts {
        id: EventId::from_bytes(id[..].try_into().ok()?),
        event_type: names.next()??.try_into().ok()?,
        content_type: ContentType::new(names.next()??).ok()?,
        payload: payload.clone(),
        metadata: metadata.clone(),
        tags: names.map(|name| name?.try_into().ok()).collect::<Option<_>>()?,
    });
    let recorded_at = Timestamp::from_micros(number(recorded_at)?);
    Some(Event::new(position, stream, Version::new(number(version)?)?, recorded_at, content))
}

/// Packs the fields of a row, or the rows of a record, each with its length before it.
pub(crate) fn pack(fields: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        let len = u32::try_from(field.as_ref().len()).expect("a field is smaller than 4 GiB");
        bytes.extend(len.to_le_bytes());
        bytes.extend(field.as_ref());
    }
    bytes
}

pub(crate) fn unpack(mut bytes: Bytes) -> Option<Vec<Bytes>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let len = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
        fields.push((len <= bytes.len()).then(|| bytes.split_to(len))?);
    }
    Some(fields)
}
