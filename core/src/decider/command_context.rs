use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::CommandId;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;

/// The context of a command: its id, its correlation and causation ids, and
/// further metadata for its events.
///
/// All of it is stored in the metadata of the command's events, under these
/// names:
///
/// | member | meaning |
/// |---|---|
/// | `schema_version` | the version of the payload's form, unless it is 1; see [`Schema`](crate::Schema) |
/// | `command_id` | the command that caused the event |
/// | `correlation_id` | the conversation: the same id from its first command to its last event |
/// | `causation_id` | the event or request that caused the command; absent if it was not set |
/// | `command_fingerprint` | a hash of the command's content, as a UUID; see [`with_fingerprint`](CommandContext::with_fingerprint); absent if it was not set |
/// | others | the application's own members |
///
/// # Examples
///
/// ```
/// use downlink::decider::{CommandContext, CommandId};
///
/// // From a request that may be repeated: the client has made the id.
/// let id: CommandId = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11".parse()?;
/// let context = CommandContext::of(id).with_metadata(&serde_json::json!({"user": "tower"}))?;
/// assert_eq!(context.command_id(), id);
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CommandContext {
    command: CommandId,
    is_repeatable: bool,
    correlation: Uuid,
    causation: Option<Uuid>,
    fingerprint: Option<Uuid>,
    metadata: Map<String, Value>,
}

/// The metadata of an event that this crate writes.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "is_first")]
    schema_version: u32,
    command_id: String,
    correlation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_fingerprint: Option<String>,
    #[serde(flatten)]
    others: &'a Map<String, Value>,
}

/// The names that are reserved for this crate.
const RESERVED: [&str; 5] =
    ["schema_version", "command_id", "correlation_id", "causation_id", "command_fingerprint"];

impl CommandContext {
    /// Creates the context of a new command that cannot be repeated, since its
    /// id is generated here.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two of them differ")]
    pub fn new() -> Self {
        Self { is_repeatable: false, ..Self::of(CommandId::now()) }
    }

    /// Creates the context of the command with this id, which takes effect
    /// once, however often it is executed.
    #[must_use]
    pub fn of(command: CommandId) -> Self {
        Self {
            command,
            is_repeatable: true,
            correlation: command.into(),
            causation: None,
            fingerprint: None,
            metadata: Map::new(),
        }
    }

    /// Sets this event as the cause of the command: the event's id becomes the
    /// causation id, and its correlation id is kept.
    #[must_use]
    pub fn caused_by(self, event: &Event) -> Self {
        let correlation = correlation_of(event).unwrap_or_else(|| event.id().into());
        self.with_causation(event.id()).with_correlation(correlation)
    }

    /// Sets the correlation id: the command's own id by default.
    #[must_use]
    pub fn with_correlation(mut self, id: impl Into<Uuid>) -> Self {
        self.correlation = id.into();
        self
    }

    /// Sets the causation id, that of the event or request that caused the
    /// command: none by default.
    #[must_use]
    pub fn with_causation(mut self, id: impl Into<Uuid>) -> Self {
        self.causation = Some(id.into());
        self
    }

    /// Sets the content of the command, as bytes that are the same whenever it
    /// is repeated. If the same id was executed before with other bytes, the
    /// command fails with [`IdReused`](ErrorKind::IdReused) instead of
    /// returning the outcome of the other command.
    ///
    /// Use the serialized command without parts that differ between requests,
    /// such as a time or a trace id. No fingerprint by default. Without a
    /// fingerprint, on either side, only the id is compared.
    #[must_use]
    pub fn with_fingerprint(mut self, command: impl AsRef<[u8]>) -> Self {
        self.fingerprint = Some(self.command.derive(command.as_ref()).into());
        self
    }

    /// Sets further members of the events' metadata: a value that serializes as
    /// a JSON object. None by default.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if it is not a JSON object, or uses one
    /// of the names above.
    pub fn with_metadata<T: Serialize + ?Sized>(mut self, metadata: &T) -> Result<Self> {
        let value = serde_json::to_value(metadata).map_err(|error| {
            Error::with_source(
                ErrorKind::Invalid,
                "the metadata cannot be serialized as JSON",
                error,
            )
        })?;
        let Value::Object(members) = value else {
            return Err(Error::invalid("the metadata is not a JSON object: use a struct or a map"));
        };
        if let Some(name) = RESERVED.into_iter().find(|name| members.contains_key(*name)) {
            let message =
                format!("the metadata contains '{name}', which is reserved: use another name");
            return Err(Error::invalid(message));
        }
        self.metadata = members;
        Ok(self)
    }

    /// The id of the command.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        self.command
    }

    /// The correlation id, which identifies the conversation.
    #[must_use]
    pub fn correlation_id(&self) -> Uuid {
        self.correlation
    }

    /// The id of the event or request that caused the command.
    #[must_use]
    pub fn causation_id(&self) -> Option<Uuid> {
        self.causation
    }

    /// Whether the command may have been executed before with the same id.
    pub(super) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Refuses an event with this command's id that belongs to another command.
    pub(super) fn check_same(&self, event: &Event) -> Result<()> {
        match (self.fingerprint, fingerprint_of(event)) {
            (Some(own), Some(other)) if own != other => Err(Error::new(
                ErrorKind::IdReused,
                format!(
                    "command id {} was used before for another command: repeat a command unchanged, \
                     and give a new one a new id",
                    self.command
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The metadata of an event whose payload has this version.
    pub(super) fn metadata(&self, schema_version: u32) -> Result<Vec<u8>> {
        let written = Written {
            schema_version,
            command_id: self.command.to_string(),
            correlation_id: self.correlation.to_string(),
            causation_id: self.causation.as_ref().map(Uuid::to_string),
            command_fingerprint: self.fingerprint.as_ref().map(Uuid::to_string),
            others: &self.metadata,
        };
        serde_json::to_vec(&written).map_err(|error| {
            Error::with_source(
                ErrorKind::Invalid,
                "the metadata cannot be serialized as JSON",
                error,
            )
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(version: &u32) -> bool {
    *version == 1
}

fn correlation_of(event: &Event) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Conversation<'a> {
        correlation_id: &'a str,
    }

    let metadata: Conversation<'_> = serde_json::from_slice(event.metadata()).ok()?;
    Uuid::try_parse(metadata.correlation_id).ok()
}

fn fingerprint_of(event: &Event) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Fingerprint<'a> {
        command_fingerprint: &'a str,
    }

    let metadata: Fingerprint<'_> = serde_json::from_slice(event.metadata()).ok()?;
    Uuid::try_parse(metadata.command_fingerprint).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{NewEvent, Timestamp};
    use crate::id::{Position, StreamId, Version};

    fn stored(metadata: &[u8]) -> Event {
        let event = NewEvent::json("FlightLanded", "{}").unwrap();
        let event = event.with_metadata_json(metadata.to_vec()).unwrap();
        let stream = StreamId::new("flight-UA1545").unwrap();
        Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, event)
    }

    fn parsed(metadata: &[u8]) -> Value {
        serde_json::from_slice(metadata).unwrap()
    }

    #[test]
    fn a_correlation_id_is_passed_from_event_to_command() {
        let first = CommandContext::new();
        let event = stored(&first.metadata(1).unwrap());
        let second = CommandContext::new().caused_by(&event);
        assert_eq!(second.correlation_id(), Uuid::from(first.command_id()));
        assert_eq!(second.causation_id(), Some(event.id().into()));

        let stranger = stored(br#"{"correlation_id":7}"#);
        let third = CommandContext::new().caused_by(&stranger);
        assert_eq!(third.correlation_id(), Uuid::from(stranger.id()));
    }

    #[test]
    fn metadata_has_every_member_and_none_twice() {
        let context = CommandContext::new().with_metadata(&json!({"user": "tower"})).unwrap();
        let id = context.command_id().to_string();
        let expected = json!({"command_id": id, "correlation_id": id, "user": "tower"});
        assert_eq!(parsed(&context.metadata(1).unwrap()), expected);

        let caused = context.with_causation(CommandId::now());
        let metadata = parsed(&caused.metadata(2).unwrap());
        assert_eq!(metadata["schema_version"], 2);
        assert_eq!(metadata["causation_id"], caused.causation_id().unwrap().to_string());
    }

    #[test]
    fn a_fingerprint_distinguishes_commands_with_one_id() {
        let id = CommandId::now();
        let first = CommandContext::of(id).with_fingerprint("delay by 20");
        let event = stored(&first.metadata(1).unwrap());
        assert!(first.check_same(&event).is_ok());
        assert!(
            CommandContext::of(id).check_same(&event).is_ok(),
            "without a fingerprint, only the id is compared"
        );
        let other = CommandContext::of(id).with_fingerprint("delay by 30").check_same(&event);
        assert_eq!(other.unwrap_err().kind(), ErrorKind::IdReused);
        let older = stored(&CommandContext::of(id).metadata(1).unwrap());
        assert!(first.check_same(&older).is_ok());
    }

    #[test]
    fn reserved_names_are_refused() {
        for name in RESERVED {
            let mut members = Map::new();
            members.insert(name.to_owned(), json!(1));
            let error = CommandContext::new().with_metadata(&members).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(CommandContext::new().with_metadata(&[1]).is_err());
    }
}
