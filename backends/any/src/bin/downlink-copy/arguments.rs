use std::ffi::OsString;

use downlink_any::StoreUrl;

/// What the program prints for `--help`, and after an error in its arguments.
pub(crate) const USAGE: &str = "\
Usage: downlink-copy [OPTIONS] FROM TO

Copies the log of the store FROM into the store TO, with all that belongs to its events, and then
compares the two. After an interruption, run it again: it continues where TO ends.

A store is `rusqlite:FILE`, `sqlx:FILE` or `postgres://USER@HOST/DATABASE`.

Options:
  --append-to NAME      copy into a TO that has events of its own, in which FROM gets this name. Positions
                        change; see below
  --follow              go on with what is appended to FROM, until SIGINT or SIGTERM; then compare
  --verify-only         copy nothing, compare
  --no-verify           copy, and do not compare
  --from-schema SCHEMA  the schema of FROM in PostgreSQL; by default `downlink`
  --to-schema SCHEMA    the schema of TO in PostgreSQL; by default `downlink`
  -h, --help            print this

With --append-to, all but the positions stay as they are. No stream may be in both logs. Cursors of FROM
are translated by servers of TO that are told to, for clients that skip no event of TO by it; all other
clients of FROM are told to load again.

Exit status: 0 if TO has the log of FROM, 1 if the two differ, 2 for wrong arguments, 3 for any other
error, 130 and 143 after SIGINT and SIGTERM.";

/// What the program is to do.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) from: Place,
    pub(crate) to: Place,
    pub(crate) copies: bool,
    pub(crate) follows: bool,
    pub(crate) compares: bool,
    /// The name of the log in a target with events of its own.
    pub(crate) name: Option<String>,
}

/// Where a log is.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) store: StoreUrl,
    pub(crate) schema: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Parsed {
    Copy(Box<Arguments>),
    Help,
}

impl Arguments {
    pub(crate) fn parse(given: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
        let mut given = given;
        let (mut stores, mut from_schema, mut to_schema) = (Vec::new(), None, None);
        let mut name = None;
        let (mut follows, mut verifies_only, mut compares) = (false, false, true);
        while let Some(argument) = given.next() {
            match argument.to_str() {
                Some("-h" | "--help") => return Ok(Parsed::Help),
                Some("--follow") => follows = true,
                Some("--verify-only") => verifies_only = true,
                Some("--no-verify") => compares = false,
                Some("--append-to") => name = Some(value(given.next(), "--append-to")?),
                Some("--from-schema") => from_schema = Some(value(given.next(), "--from-schema")?),
                Some("--to-schema") => to_schema = Some(value(given.next(), "--to-schema")?),
                Some(option) if option.starts_with('-') => {
                    // Without the value, which may have a password.
                    let name = option.split('=').next().unwrap_or_default();
                    return Err(format!("there is no option {name}"));
                }
                _ => stores.push(StoreUrl::parse(&argument).map_err(|error| error.to_string())?),
            }
        }
        let [from, to] = <[StoreUrl; 2]>::try_from(stores)
            .map_err(|stores| format!("name two stores, not {}", stores.len()))?;
        if from == to && from_schema == to_schema {
            return Err("FROM and TO are the same log".to_owned());
        }
        if verifies_only && (follows || !compares) {
            return Err("--verify-only neither copies nor follows".to_owned());
        }
        Ok(Parsed::Copy(Box::new(Self {
            from: Place { store: from, schema: from_schema },
            to: Place { store: to, schema: to_schema },
            copies: !verifies_only,
            follows,
            compares,
            name,
        })))
    }
}

fn value(given: Option<OsString>, option: &str) -> Result<String, String> {
    let text = given.and_then(|value| value.into_string().ok());
    text.ok_or_else(|| format!("{option} needs a name after it"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Parsed, String> {
        Arguments::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn two_stores_are_copied_and_compared() {
        let Ok(Parsed::Copy(parsed)) = parse("rusqlite:a.db --to-schema new postgres://host/db")
        else {
            panic!("refused")
        };
        assert!(parsed.copies && parsed.compares && !parsed.follows);
        assert_eq!(parsed.from.store, StoreUrl::Rusqlite("a.db".into()));
        assert_eq!(parsed.to.schema.as_deref(), Some("new"));
    }

    #[test]
    fn other_arguments_are_refused_and_passwords_not_repeated() {
        for wrong in [
            "",
            "rusqlite:a.db",
            "rusqlite:a.db sqlx:b.db sqlx:c.db",
            "rusqlite:a.db sqlx:b.db --quickly",
            "rusqlite:a.db sqlx:b.db --to-schema",
            "rusqlite:a.db sqlx:b.db --verify-only --follow",
            "rusqlite:a.db rusqlite:a.db",
            "rusqlite:a.db mysql://me:secret@host",
            "rusqlite:a.db --from=postgres://me:secret@host/db",
            "rusqlite:a.db sqlx:b.db --append-to=",
        ] {
            let message = parse(wrong).unwrap_err();
            assert!(!message.contains("secret"), "{message}");
        }
        assert!(matches!(parse("--help"), Ok(Parsed::Help)));
    }
}
