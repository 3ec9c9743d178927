use super::message_decoder::MAX_MESSAGE_BYTES;
use super::read_error::ReadError;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// The longest payload of a control frame.
const MAX_CONTROL_BYTES: u8 = 125;

/// The head of a frame from a client, which is masked (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) len: usize,
    pub(super) mask: [u8; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl FrameHead {
    /// The length of the longest head.
    pub(super) const MAX_BYTES: usize = 14;

    /// Whether the head that begins with this byte is that of a control frame.
    pub(super) fn is_of_control(first: u8) -> bool {
        first & CONTROL != 0
    }

    /// Parses a head; `None` if more bytes are needed. Fails as early as possible.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, ReadError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let opcode = opcode(first)?;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        if second & MASKED == 0 {
            return Err(ReadError::Protocol("a frame of a client must be masked"));
        }
        let short = second & LENGTH;
        if opcode.is_control() && short > MAX_CONTROL_BYTES {
            return Err(ReadError::Protocol("a control frame has more than 125 bytes"));
        }
        let (len, rest) = match short {
            126 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*len), rest)
            }
            short => (u64::from(short), rest),
        };
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX_MESSAGE_BYTES);
        let len = len.ok_or(ReadError::TooLong)?;
        let mask = rest.first_chunk::<4>();
        Ok(mask.map(|mask| Self { is_final: first & FIN != 0, opcode, len, mask: *mask }))
    }
}

fn opcode(first: u8) -> Result<Opcode, ReadError> {
    if first & RESERVED != 0 {
        return Err(ReadError::Protocol("a reserved bit of a frame is set"));
    }
    let opcode = match first & OPCODE {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => return Err(ReadError::Binary),
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(ReadError::Protocol("the opcode of a frame is unknown")),
    };
    if opcode.is_control() && first & FIN == 0 {
        return Err(ReadError::Protocol("a control frame is fragmented"));
    }
    Ok(opcode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(opcode: Opcode, len: usize) -> FrameHead {
        FrameHead { is_final: true, opcode, len, mask: *b"mask" }
    }

    #[test]
    fn heads_have_three_forms_of_lengths() {
        for (bytes, len) in [
            (&b"\x81\x85mask"[..], 5),
            (b"\x81\xfe\x01\x00mask", 256),
            (b"\x81\xff\0\0\0\0\0\x04\0\0mask", 256 << 10),
        ] {
            assert!(bytes.len() <= FrameHead::MAX_BYTES);
            for end in 0..bytes.len() {
                assert_eq!(FrameHead::parse(&bytes[..end]).unwrap(), None);
            }
            assert_eq!(FrameHead::parse(bytes).unwrap(), Some(head(Opcode::Text, len)));
        }
        let ping = FrameHead::parse(b"\x89\xfdmask").unwrap();
        assert_eq!(ping, Some(head(Opcode::Ping, 125)));
        let part = FrameHead::parse(b"\x00\x80mask").unwrap().unwrap();
        assert_eq!((part.is_final, part.opcode), (false, Opcode::Continuation));
    }

    #[test]
    fn what_is_not_valid_is_refused_at_its_first_byte() {
        let protocol =
            |bytes: &[u8]| matches!(FrameHead::parse(bytes), Err(ReadError::Protocol(_)));
        for first in [0xc1, 0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f, 0x09, 0x08, 0x0a] {
            assert!(protocol(&[first]), "{first:#x}");
        }
        for second in [0x00, 0x05, 0x7e] {
            assert!(protocol(&[0x81, second]), "{second:#x}: not masked");
        }
        assert!(protocol(&[0x89, 0xfe]) && protocol(&[0x88, 0xff]));
        assert!(matches!(FrameHead::parse(&[0x82]), Err(ReadError::Binary)));
        for long in
            [&b"\x81\xff\0\0\0\0\0\x04\0\x01"[..], b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert!(matches!(FrameHead::parse(long), Err(ReadError::TooLong)));
        }
    }
}
