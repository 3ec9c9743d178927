use super::read_error::ReadError;

/// The longest reason, such that the payload is that of a control frame.
const MAX_REASON_BYTES: usize = 123;

/// The code and the reason of a close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CloseFrame {
    pub(super) code: u16,
    reason: String,
}

impl CloseFrame {
    /// A close frame with a reason, which is truncated to 123 bytes.
    pub(super) fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        Self { code, reason }
    }

    /// Parses the payload of a close frame, which may be empty.
    pub(super) fn parse(payload: &[u8]) -> Result<Option<Self>, ReadError> {
        if payload.is_empty() {
            return Ok(None);
        }
        let Some((code, reason)) = payload.split_first_chunk() else {
            return Err(ReadError::Protocol("a close frame has half a code"));
        };
        let code = u16::from_be_bytes(*code);
        // Those that the protocol defines for frames or leaves to applications.
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(ReadError::Protocol("a close frame has a code that is not allowed"));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| ReadError::NotUtf8)?;
        Ok(Some(Self::new(code, reason)))
    }

    /// The payload of the frame.
    pub(super) fn payload(&self) -> Vec<u8> {
        [&self.code.to_be_bytes(), self.reason.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons_are_checked() {
        assert_eq!(CloseFrame::parse(b"").unwrap(), None);
        for code in [1000, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
            let frame = CloseFrame::new(code, "bye é");
            assert_eq!(CloseFrame::parse(&frame.payload()).unwrap(), Some(frame));
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
            let refused = CloseFrame::parse(&code.to_be_bytes());
            assert!(matches!(refused, Err(ReadError::Protocol(_))), "{code}");
        }
        assert!(matches!(CloseFrame::parse(b"\x03"), Err(ReadError::Protocol(_))));
        assert!(matches!(CloseFrame::parse(b"\x03\xe8\xff"), Err(ReadError::NotUtf8)));
        assert_eq!(CloseFrame::new(1000, "é".repeat(100)).payload().len(), 2 + 122);
    }
}
