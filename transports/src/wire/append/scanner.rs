use std::fmt;

#[cfg(feature = "websocket")]
use downlink::NewEvent;
use downlink::limits;

use super::json_scan::{JsonProblem, JsonScan};
use super::member::{MAX_NAME, Member};
use super::string_scan::{StringEnd, StringScan};
use crate::wire::utf8::Utf8Check;
use crate::wire::{Code, Problem};

/// The byte order mark, in UTF-8.
const MARK: [u8; 3] = *b"\xef\xbb\xbf";

/// What an event and a tag need in memory, in addition to their content.
const EVENT_BYTES: usize = 512;
const TAG_BYTES: usize = 96;

/// How much memory events take, in bytes.
#[cfg(feature = "websocket")]
pub(crate) fn events_size(events: &[NewEvent]) -> usize {
    let size = |event: &NewEvent| EVENT_BYTES + event.size() + TAG_BYTES * event.tags().len();
    events.iter().map(size).sum()
}

/// Checks the limits of an append while its body arrives.
///
/// It knows as much of the structure as that takes, and refuses nothing that the
/// parser accepts. What it accepts, the parser reads within a small multiple of the
/// body's bytes.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    utf8: Utf8Check,
    state: State,
    /// How many bytes of a byte order mark there are so far.
    mark: usize,
    is_behind_mark: bool,
    is_array: bool,
    events: usize,
    tags: usize,
    event: Event,
}

/// The event that is being scanned.
#[derive(Debug, Default)]
struct Event {
    members: u8,
    tags: usize,
}

/// Why the rest of a body need not be taken.
#[derive(Debug)]
pub(super) enum Stop {
    /// It exceeds a limit.
    Refused(Problem),
    /// Its syntax is not valid. The parser of what has arrived says what is wrong.
    Malformed,
}

/// What is expected next. `or_end` is whether the end of the list may be.
#[derive(Debug, Default)]
enum State {
    #[default]
    Body,
    Event {
        or_end: bool,
    },
    AfterEvent,
    Name {
        or_end: bool,
    },
    InName(Vec<u8>, StringScan),
    Colon(Member),
    Value(Member),
    InText(Member, StringScan),
    InJson(Member, JsonScan),
    Tag {
        or_end: bool,
    },
    AfterTag,
    AfterMember,
    End,
}

impl Scanner {
    /// An upper bound of the memory that the events so far take once they are
    /// parsed, if the body has this many bytes.
    pub(super) fn parsed_size(&self, body: usize) -> usize {
        body + EVENT_BYTES * self.events + TAG_BYTES * self.tags
    }

    /// Scans the next piece of the body.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Stop> {
        let checked = self.utf8.push(piece);
        let valid = checked.err().unwrap_or(piece.len());
        let mut at = self.byte_order_mark(piece)?;
        while at < valid {
            at += self.scan(&piece[at..valid])?;
        }
        checked.map_err(|_| not_utf8().into())
    }

    /// How many bytes of the piece belong to a byte order mark, with which the body
    /// may not begin.
    fn byte_order_mark(&mut self, piece: &[u8]) -> Result<usize, Stop> {
        if self.is_behind_mark {
            return Ok(0);
        }
        let expected = MARK[self.mark..].iter();
        let found = piece.iter().zip(expected).take_while(|(byte, mark)| byte == mark).count();
        self.mark += found;
        if self.mark == MARK.len() {
            let detail = "the body begins with a byte order mark: remove it";
            return Err(Problem::new(Code::Invalid, detail).into());
        }
        self.is_behind_mark = found < piece.len();
        Ok(found)
    }

    /// Scans some bytes, and returns how many.
    fn scan(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        match std::mem::take(&mut self.state) {
            State::InName(name, string) => self.name(bytes, name, string),
            State::InText(member, string) => self.text(bytes, member, string),
            State::InJson(member, json) => self.json(bytes, member, json),
            state => {
                let blank = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
                let blanks = bytes.iter().take_while(blank).count();
                let Some(&byte) = bytes.get(blanks) else {
                    self.state = state;
                    return Ok(blanks);
                };
                let (state, is_used) = self.structure(state, byte)?;
                self.state = state;
                Ok(blanks + usize::from(is_used))
            }
        }
    }

    /// The next state after this byte, and whether the byte is not part of it.
    fn structure(&mut self, state: State, byte: u8) -> Result<(State, bool), Stop> {
        let next = match (state, byte) {
            (State::Body, b'[') => {
                self.is_array = true;
                State::Event { or_end: true }
            }
            (State::Body | State::Event { .. }, b'{') => self.begin_event()?,
            (State::AfterEvent, b',') => State::Event { or_end: false },
            (State::Event { or_end: true } | State::AfterEvent, b']') => State::End,
            (State::Name { .. }, b'"') => {
                State::InName(Vec::with_capacity(16), StringScan::default())
            }
            (State::Colon(member), b':') => State::Value(member),
            (State::Value(Member::Tags), b'[') => State::Tag { or_end: true },
            (State::Value(Member::Tags), _) => return Err(Stop::Malformed),
            (State::Value(member @ (Member::Data | Member::Metadata)), _) => {
                return Ok((State::InJson(member, JsonScan::default()), false));
            }
            (State::Value(member), b'"') => State::InText(member, StringScan::default()),
            (State::Tag { .. }, b'"') => self.begin_tag()?,
            (State::AfterTag, b',') => State::Tag { or_end: false },
            (State::Tag { or_end: true } | State::AfterTag, b']') => State::AfterMember,
            (State::AfterMember, b',') => State::Name { or_end: false },
            (State::Name { or_end: true } | State::AfterMember, b'}') => {
                if self.is_array {
                    State::AfterEvent
                } else {
                    State::End
                }
            }
            _ => return Err(Stop::Malformed),
        };
        Ok((next, true))
    }

    fn begin_event(&mut self) -> Result<State, Stop> {
        let limit = limits::MAX_EVENTS_PER_APPEND;
        if self.events == limit {
            let detail =
                format!("the body has more than {limit} events: split it into several appends");
            return Err(Problem::new(Code::TooLarge, detail).with_limit(limit).into());
        }
        self.events += 1;
        self.event = Event::default();
        Ok(State::Name { or_end: true })
    }

    fn begin_tag(&mut self) -> Result<State, Stop> {
        if self.event.tags == limits::MAX_TAGS {
            return Err(self.too_large(Member::Tags, "tags", limits::MAX_TAGS).into());
        }
        self.event.tags += 1;
        self.tags += 1;
        Ok(State::InText(Member::Tags, StringScan::default()))
    }

    fn name(
        &mut self,
        bytes: &[u8],
        mut name: Vec<u8>,
        mut string: StringScan,
    ) -> Result<usize, Stop> {
        let (scanned, end) = string.scan(bytes);
        let part = scanned - usize::from(end == StringEnd::Closed);
        if name.len() + part > MAX_NAME {
            let detail = "a member has a name that is longer than any known one: remove it";
            return Err(self.problem(Code::BadEvent, detail).into());
        }
        name.extend_from_slice(&bytes[..part]);
        self.state = match end {
            StringEnd::Open => State::InName(name, string),
            StringEnd::Closed => {
                let member = Member::of_json(&name).ok_or(Stop::Malformed)?;
                if self.event.members & member.bit() != 0 {
                    return Err(Stop::Malformed);
                }
                self.event.members |= member.bit();
                State::Colon(member)
            }
            StringEnd::Invalid => return Err(Stop::Malformed),
        };
        Ok(scanned)
    }

    fn text(
        &mut self,
        bytes: &[u8],
        member: Member,
        mut string: StringScan,
    ) -> Result<usize, Stop> {
        let (scanned, end) = string.scan(bytes);
        if string.min_len() > member.limit() {
            return Err(self.too_long(member).into());
        }
        self.state = match (end, member) {
            (StringEnd::Open, _) => State::InText(member, string),
            (StringEnd::Closed, Member::Tags) => State::AfterTag,
            (StringEnd::Closed, _) => State::AfterMember,
            (StringEnd::Invalid, _) => return Err(Stop::Malformed),
        };
        Ok(scanned)
    }

    fn json(&mut self, bytes: &[u8], member: Member, mut json: JsonScan) -> Result<usize, Stop> {
        let result = json.scan(bytes);
        if json.bytes() > member.limit() {
            return Err(self.too_long(member).into());
        }
        let (scanned, is_end) = result.map_err(|problem| self.invalid(member, problem))?;
        self.state = if is_end { State::AfterMember } else { State::InJson(member, json) };
        Ok(scanned)
    }

    fn too_long(&self, member: Member) -> Problem {
        if member == Member::Id {
            let detail = "'id': an event id is a UUID of 36 characters, but this has more";
            return self.problem(Code::Invalid, detail);
        }
        self.too_large(member, "bytes", member.limit())
    }

    fn too_large(&self, member: Member, unit: &str, limit: usize) -> Problem {
        let member = member.name();
        let detail = format!("'{member}': more than {limit} {unit}, which is the limit");
        self.problem(Code::TooLarge, detail).with_limit(limit)
    }

    fn invalid(&self, member: Member, problem: JsonProblem) -> Stop {
        let what = if member == Member::Data { "the payload" } else { "the metadata" };
        let member = member.name();
        let detail = match problem {
            JsonProblem::Malformed => return Stop::Malformed,
            JsonProblem::TooDeep => {
                let limit = limits::MAX_JSON_DEPTH;
                format!("'{member}': {what} nests deeper than {limit}: flatten it")
            }
            JsonProblem::LongNumber => {
                let limit = limits::MAX_JSON_NUMBER_CHARS;
                format!(
                    "'{member}': {what} contains a number of more than {limit} characters: \
                     write it as a string"
                )
            }
        };
        self.problem(Code::Invalid, detail).into()
    }

    /// A problem of the current event.
    fn problem(&self, code: Code, detail: impl fmt::Display) -> Problem {
        Problem::new(code, format!("event {}: {detail}", self.events))
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

pub(super) fn not_utf8() -> Problem {
    Problem::new(Code::BadEvent, "the body is not UTF-8")
}
