use downlink::limits;

/// The length of the longest name, with each character written as an escape.
pub(super) const MAX_NAME: usize = "content_type".len() * "\\u0000".len();

/// A member of an event in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Id,
    Type,
    Data,
    DataBase64,
    ContentType,
    Metadata,
    Tags,
}

impl Member {
    /// The member of this name, which is the text between the quotes.
    pub(super) fn of_json(name: &[u8]) -> Option<Self> {
        if name.contains(&b'\\') {
            let quoted = [b"\"", name, b"\""].concat();
            let name: String = serde_json::from_slice(&quoted).ok()?;
            return Self::of(name.as_bytes());
        }
        Self::of(name)
    }

    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"id" => Self::Id,
            b"type" => Self::Type,
            b"data" => Self::Data,
            b"data_base64" => Self::DataBase64,
            b"content_type" => Self::ContentType,
            b"metadata" => Self::Metadata,
            b"tags" => Self::Tags,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Type => "type",
            Self::Data => "data",
            Self::DataBase64 => "data_base64",
            Self::ContentType => "content_type",
            Self::Metadata => "metadata",
            Self::Tags => "tags",
        }
    }

    /// The most bytes of its value, of a tag among several.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Id => 36,
            Self::Type | Self::ContentType | Self::Tags => limits::MAX_NAME_BYTES,
            Self::Data => limits::MAX_PAYLOAD_BYTES,
            Self::DataBase64 => limits::MAX_PAYLOAD_BYTES.div_ceil(3) * 4,
            Self::Metadata => limits::MAX_METADATA_BYTES,
        }
    }

    /// A set of members with only this one.
    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_written_with_escapes() {
        assert_eq!(Member::of_json(b"data"), Some(Member::Data));
        assert_eq!(Member::of_json(br"d\u0061ta"), Some(Member::Data));
        let escapes: Vec<_> = "content_type".bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        let name = escapes.concat();
        assert_eq!(name.len(), MAX_NAME);
        assert_eq!(Member::of_json(name.as_bytes()), Some(Member::ContentType));
        for unknown in [&b"dat"[..], br"d\x", br"\ud800", br"\"] {
            assert_eq!(Member::of_json(unknown), None);
        }
    }
}
