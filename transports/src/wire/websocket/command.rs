use std::borrow::Cow;
use std::collections::BTreeMap;

use downlink::live::{Params, Token};
use downlink::{After, Expected, Filter, NewEvent, StreamId};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Label;
use crate::wire::after::parse_token;
use crate::wire::envelope::{put, put_new_event, put_text};
use crate::wire::object::{Object, present};
use crate::wire::query::bad;
use crate::wire::{
    Code, Problem, after_text, filter_of_json, filter_to_json, parse_after, parse_events,
    parse_expected,
};

/// A command of a client on a WebSocket.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the members of the frame of the same name")]
pub enum Command {
    /// Opens a subscription.
    Subscribe { sub: Label, after: After, filter: Filter },
    /// Watches a live query.
    Watch { sub: Label, query: String, params: Params, after: Option<Token> },
    /// Closes a subscription.
    Unsubscribe { sub: Label },
    /// Appends to one stream.
    Append { req: Label, stream: StreamId, expected: Expected, events: Vec<NewEvent> },
    /// Asks for a pong.
    Ping { req: Label },
}

/// The subscription or request that a frame belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A subscription.
    Sub(Label),
    /// A request.
    Req(Label),
}

/// A command that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The subscription or request of the command, if it has one.
    pub to: Option<Addressee>,
    /// The reason.
    pub problem: Problem,
}

impl Command {
    /// Parses a text message.
    ///
    /// # Errors
    ///
    /// A [`Refused`] with [`Invalid`](Code::Invalid) if it is not a command, and
    /// as [`parse_after`], [`filter_of_json`], [`parse_expected`] and
    /// [`parse_events`].
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let unaddressed = |problem| Refused { to: None, problem };
        let Object(head) = serde_json::from_str::<Object<Head<'_>>>(text)
            .map_err(|error| unaddressed(not_a_command(&error)))?;
        let to = head.addressee().map_err(unaddressed)?;
        let parse = match head.frame().as_deref() {
            Some("subscribe") => subscribe,
            Some("watch") => watch,
            Some("unsubscribe") => unsubscribe,
            Some("append") => append,
            Some("ping") => ping,
            _ => unknown,
        };
        parse(text).map_err(|problem| Refused { to, problem })
    }

    /// Renders the message; `None` if the wire format cannot express the filter of
    /// a subscription.
    #[must_use]
    pub fn json(&self) -> Option<String> {
        let mut out = String::with_capacity(128);
        match self {
            Self::Subscribe { sub, after, filter } => {
                let (after, filter) = (after_text(*after), filter_to_json(filter)?);
                let head = format_args!("{{\"frame\":\"subscribe\",\"sub\":\"{sub}\",\"after\":");
                put(&mut out, head);
                put_text(&mut out, &after);
                put(&mut out, format_args!(",\"filter\":{filter}}}"));
            }
            Self::Watch { sub, query, params, after } => {
                put(&mut out, format_args!("{{\"frame\":\"watch\",\"sub\":\"{sub}\",\"query\":"));
                put_text(&mut out, query);
                out.push_str(",\"params\":{");
                for (index, (name, value)) in params.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    put_text(&mut out, name);
                    out.push(':');
                    put_text(&mut out, value);
                }
                out.push('}');
                if let Some(token) = after {
                    put(&mut out, format_args!(",\"after\":\"{token}\""));
                }
                out.push('}');
            }
            Self::Unsubscribe { sub } => {
                put(&mut out, format_args!("{{\"frame\":\"unsubscribe\",\"sub\":\"{sub}\"}}"));
            }
            Self::Append { req, stream, expected, events } => {
                put(&mut out, format_args!("{{\"frame\":\"append\",\"req\":\"{req}\",\"stream\":"));
                put_text(&mut out, stream.as_str());
                out.push_str(",\"expected\":");
                put_expected(&mut out, *expected);
                out.push_str(",\"events\":[");
                for (index, event) in events.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    put_new_event(&mut out, event);
                }
                out.push_str("]}");
            }
            Self::Ping { req } => {
                put(&mut out, format_args!("{{\"frame\":\"ping\",\"req\":\"{req}\"}}"));
            }
        }
        Some(out)
    }
}

fn put_expected(out: &mut String, expected: Expected) {
    match expected {
        Expected::Any => out.push_str("\"any\""),
        Expected::NoStream => out.push_str("\"none\""),
        Expected::Exists => out.push_str("\"exists\""),
        Expected::Exact(version) => put(out, format_args!("{version}")),
    }
}

/// The members that identify a command.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    frame: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sub: Option<&'a RawValue>,
    #[serde(borrow, default)]
    req: Option<&'a RawValue>,
}

impl Head<'_> {
    fn frame(&self) -> Option<Cow<'_, str>> {
        self.frame.and_then(text)
    }

    fn addressee(&self) -> Result<Option<Addressee>, Problem> {
        let sub = self.sub.map(|sub| label(sub, "sub")).transpose()?;
        let req = self.req.map(|req| label(req, "req")).transpose()?;
        Ok(sub.map(Addressee::Sub).or(req.map(Addressee::Req)))
    }
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw.get()).ok()
}

fn label(raw: &RawValue, member: &'static str) -> Result<Label, Problem> {
    text(raw).and_then(Label::new).ok_or_else(|| {
        bad(member, format!("'{member}' is not a label: use 1 to 32 of A-Z, a-z, 0-9, '_' and '-'"))
    })
}

fn not_a_command(error: &serde_json::Error) -> Problem {
    let detail = format!("the message is not a JSON object with a 'frame': {error}");
    Problem::new(Code::Invalid, detail)
}

fn unknown(_: &str) -> Result<Command, Problem> {
    let detail = "'frame' takes 'subscribe', 'watch', 'unsubscribe', 'append' or 'ping'";
    Err(Problem::new(Code::Invalid, detail).with_parameter("frame"))
}

/// Reads all members of a frame, and refuses others.
fn members<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    let members = serde_json::from_str::<Object<T>>(text);
    members.map(|Object(members)| members).map_err(|error| {
        Problem::new(
            Code::Invalid,
            format!("the frame has missing, unknown or invalid members: {error}"),
        )
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe<'a> {
    #[serde(rename = "frame")]
    _frame: IgnoredAny,
    #[serde(borrow)]
    sub: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    after: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    filter: Option<&'a RawValue>,
}

fn subscribe(text: &str) -> Result<Command, Problem> {
    let members: Subscribe<'_> = members(text)?;
    let filter = members.filter.map(|filter| filter_of_json(filter.get())).transpose()?;
    Ok(Command::Subscribe {
        sub: label(members.sub, "sub")?,
        after: members.after.map_or(Ok(After::Start), |after| parse_after(&after))?,
        filter: filter.unwrap_or_default(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Watch<'a> {
    #[serde(rename = "frame")]
    _frame: IgnoredAny,
    #[serde(borrow)]
    sub: &'a RawValue,
    query: String,
    #[serde(default, deserialize_with = "present")]
    params: Option<Object<BTreeMap<String, String>>>,
    #[serde(borrow, default, deserialize_with = "present")]
    after: Option<Cow<'a, str>>,
}

fn watch(text: &str) -> Result<Command, Problem> {
    let members: Watch<'_> = members(text)?;
    let Object(params) = members.params.unwrap_or_default();
    Ok(Command::Watch {
        sub: label(members.sub, "sub")?,
        query: members.query,
        params: params.into_iter().collect(),
        after: members.after.map(|after| parse_token("after", &after)).transpose()?,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unsubscribe<'a> {
    #[serde(rename = "frame")]
    _frame: IgnoredAny,
    #[serde(borrow)]
    sub: &'a RawValue,
}

fn unsubscribe(text: &str) -> Result<Command, Problem> {
    let members: Unsubscribe<'_> = members(text)?;
    Ok(Command::Unsubscribe { sub: label(members.sub, "sub")? })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Append<'a> {
    #[serde(rename = "frame")]
    _frame: IgnoredAny,
    #[serde(borrow)]
    req: &'a RawValue,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    expected: Option<&'a RawValue>,
    #[serde(borrow)]
    events: &'a RawValue,
}

fn append(text: &str) -> Result<Command, Problem> {
    let members: Append<'_> = members(text)?;
    let stream = StreamId::new(&members.stream).map_err(|error| {
        Problem::new(Code::BadStream, error.to_string()).with_parameter("stream")
    })?;
    Ok(Command::Append {
        req: label(members.req, "req")?,
        stream,
        expected: members.expected.map_or(Ok(Expected::Any), expected)?,
        events: parse_events(members.events.get().as_bytes())?,
    })
}

/// A word, or a version as a number.
fn expected(raw: &RawValue) -> Result<Expected, Problem> {
    match text(raw) {
        Some(word) if word.bytes().any(|byte| !byte.is_ascii_digit()) => parse_expected(&word),
        Some(_) => parse_expected(""),
        None => parse_expected(raw.get()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ping<'a> {
    #[serde(rename = "frame")]
    _frame: IgnoredAny,
    #[serde(borrow)]
    req: &'a RawValue,
}

fn ping(text: &str) -> Result<Command, Problem> {
    let members: Ping<'_> = members(text)?;
    Ok(Command::Ping { req: label(members.req, "req")? })
}

#[cfg(test)]
mod tests;
