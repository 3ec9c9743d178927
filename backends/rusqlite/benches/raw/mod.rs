//! Handwritten code for comparison: loops on plain connections.

use std::path::Path;
use std::time::Duration;

use downlink::{EventId, NewEvent, Position, Version};
use downlink_sqlite_schema::links::{Chain, Links, Next};
use downlink_sqlite_schema::number::{
    position_from_sql, position_to_sql, version_from_sql, version_to_sql,
};
use downlink_sqlite_schema::{Durability, Pragmas, WAL, sql};
use rusqlite::{Connection, OptionalExtension, params};

const PAYLOAD: &str = r#"{"flight":"UA1545","from":"EWR","to":"IAH","gate":"C71","scheduled":"2013-01-01T05:15:00-05:00","delay":2,"tail":"N14228","carrier":"United"}"#;

pub(crate) fn event() -> NewEvent {
    NewEvent::json("FlightDeparted", PAYLOAD).expect("an event")
}

pub(crate) fn stream(number: u64) -> String {
    format!("flight-{number:07}")
}

/// Marsaglia's xorshift: the streams that appenders choose.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a file");
    connection.busy_timeout(Duration::from_mins(1)).expect("a timeout");
    connection.query_row(WAL, (), |_| Ok(())).expect("a WAL");
    let pragmas = Pragmas {
        durability: Durability::Full,
        cache_bytes: 8 << 20,
        checkpoint_pages: 4_096,
        is_shared: false,
    };
    connection.execute_batch(&pragmas.writer()).expect("pragmas");
    connection.set_prepared_statement_cache_capacity(64);
    connection
}

fn execute(connection: &Connection, text: &str) {
    connection.prepare_cached(text).and_then(|mut statement| statement.execute(())).expect(text);
}

/// The tables of the store, without the store.
pub(crate) struct Linked(Connection);

impl Linked {
    pub(crate) fn open(path: &Path) -> Self {
        Self(connect(path))
    }

    /// Runs one transaction with `count` events, without a cache.
    pub(crate) fn append(&mut self, count: u64, streams: u64, random: &mut Random) -> u64 {
        let names: Vec<String> = (0..count).map(|_| stream(random.below(streams))).collect();
        execute(&self.0, sql::BEGIN_WRITE);
        let (mut position, mut generation) = self.head();
        let event_type = self.event_type();
        for name in names {
            position += 1;
            self.add(&name, position, event_type);
        }
        generation += 1;
        self.set_head(position, generation);
        execute(&self.0, sql::COMMIT);
        count
    }

    fn add(&self, name: &str, position: i64, event_type: i64) {
        let head: Option<(i64, i64, i64)> = self
            .0
            .prepare_cached(sql::STREAM_HEAD)
            .and_then(|mut statement| {
                statement
                    .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                    .optional()
            })
            .expect("a head");
        let (key, version, links) = match head {
            None => (self.add_stream(name), Version::FIRST, Chain::FIRST),
            Some((key, version, at)) => {
                let (version, at) =
                    (version_from_sql(version).expect("one"), position_from_sql(at).expect("one"));
                (key, version.next(), self.links(key, Chain::of_head(version, at)))
            }
        };
        self.insert(key, version, links, position, event_type);
        self.0
            .prepare_cached(sql::SET_STREAM_HEAD)
            .and_then(|mut statement| statement.execute((key, version_to_sql(version), position)))
            .expect("a head");
    }

    fn links(&self, key: i64, mut chain: Chain) -> Links {
        loop {
            match chain.next() {
                Next::Ready(links) => return links,
                Next::Fetch(version, position) => {
                    let mut statement = self.0.prepare_cached(sql::JUMP_AT).expect("a statement");
                    let of = [position_to_sql(position), key, version_to_sql(version)];
                    let jump = statement.query_row(of, |row| row.get(0)).expect("a link");
                    chain.add_jump(position_from_sql(jump).expect("one"));
                }
            }
        }
    }

    fn insert(&self, key: i64, version: Version, links: Links, position: i64, event_type: i64) {
        let id = EventId::now();
        let (content_type, tags, metadata) = (None::<&str>, None::<&[u8]>, None::<&[u8]>);
        self.0
            .prepare_cached(sql::ADD_EVENT)
            .and_then(|mut statement| {
                statement.execute(params![
                    position,
                    &id.as_bytes()[..],
                    key,
                    version_to_sql(version),
                    position_to_sql(links.prev),
                    position_to_sql(links.jump),
                    event_type,
                    1_i64,
                    content_type,
                    tags,
                    metadata,
                    PAYLOAD.as_bytes()
                ])
            })
            .expect("an event");
    }

    fn head(&self) -> (i64, i64) {
        let mut statement = self.0.prepare_cached(sql::HEAD).expect("a statement");
        statement.query_row((), |row| Ok((row.get(0)?, row.get(3)?))).expect("a head")
    }

    fn set_head(&self, position: i64, generation: i64) {
        let id: Vec<u8> = self
            .0
            .prepare_cached(sql::ID_AT)
            .and_then(|mut statement| statement.query_row([position], |row| row.get(0)))
            .expect("an id");
        self.0
            .prepare_cached(sql::SET_HEAD)
            .and_then(|mut statement| statement.execute((position, id, 1, generation)))
            .expect("a head");
    }

    fn event_type(&self) -> i64 {
        let mut statement = self.0.prepare_cached(sql::TYPE_KEY).expect("a statement");
        let known =
            statement.query_row(["FlightDeparted"], |row| row.get(0)).optional().expect("a type");
        known.unwrap_or_else(|| {
            let mut statement = self.0.prepare_cached(sql::ADD_TYPE).expect("a statement");
            statement.insert(["FlightDeparted"]).expect("a type")
        })
    }

    fn add_stream(&self, name: &str) -> i64 {
        self.0
            .prepare_cached(sql::ADD_STREAM)
            .and_then(|mut statement| statement.insert([name]))
            .expect("a stream")
    }

    /// Fills the log with events in large transactions.
    pub(crate) fn fill(&mut self, events: u64, streams: u64, random: &mut Random) {
        let mut tails: Vec<Option<(i64, Chain)>> =
            vec![None; usize::try_from(streams).expect("a few")];
        let mut position = 0;
        while position < i64::try_from(events).expect("a few") {
            execute(&self.0, sql::BEGIN_WRITE);
            let event_type = self.event_type();
            for _ in 0..20_000 {
                position += 1;
                let number = random.below(streams);
                self.fill_one(
                    &mut tails[usize::try_from(number).expect("a few")],
                    number,
                    position,
                    event_type,
                );
            }
            self.set_head(position, position);
            execute(&self.0, sql::COMMIT);
        }
        execute(&self.0, sql::BEGIN_WRITE);
        for (key, chain) in tails.into_iter().flatten() {
            let mut statement = self.0.prepare_cached(sql::SET_STREAM_HEAD).expect("a statement");
            statement
                .execute((key, version_to_sql(chain.version()), position_to_sql(chain.position())))
                .expect("a head");
        }
        execute(&self.0, sql::COMMIT);
    }

    fn fill_one(
        &self,
        tail: &mut Option<(i64, Chain)>,
        number: u64,
        position: i64,
        event_type: i64,
    ) {
        let at = Position::new(position.unsigned_abs()).expect("one");
        if let Some((key, chain)) = tail {
            let Next::Ready(links) = chain.next() else { unreachable!("the chain is whole") };
            chain.push(at);
            self.insert(*key, chain.version(), links, position, event_type);
        } else {
            let key = self.add_stream(&stream(number));
            *tail = Some((key, Chain::of_head(Version::FIRST, at)));
            self.insert(key, Version::FIRST, Chain::FIRST, position, event_type);
        }
    }
}

/// The table that event stores usually have. Streams are integers here, too,
/// which is the faster variant.
pub(crate) struct Indexed(Connection);

const ADD: &str = "INSERT INTO events (id, stream, version, type, recorded_at, payload) VALUES (?1, ?2, ?3, 1, 1, ?4)";

impl Indexed {
    pub(crate) fn create(path: &Path) -> Self {
        let connection = connect(path);
        let tables = "CREATE TABLE downlink_streams (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
            CREATE TABLE events (position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, stream INTEGER NOT NULL,
            version INTEGER NOT NULL, type INTEGER NOT NULL, recorded_at INTEGER NOT NULL, payload BLOB NOT NULL,
            UNIQUE (stream, version)) STRICT;";
        connection.execute_batch(tables).expect("tables");
        Self(connection)
    }

    pub(crate) fn append(&mut self, count: u64, streams: u64, random: &mut Random) -> u64 {
        let names: Vec<String> = (0..count).map(|_| stream(random.below(streams))).collect();
        execute(&self.0, sql::BEGIN_WRITE);
        for name in names {
            let mut key = self.0.prepare_cached(sql::STREAM_KEY).expect("a statement");
            let key: Option<i64> =
                key.query_row([&name], |row| row.get(0)).optional().expect("a key");
            let key = key.unwrap_or_else(|| {
                self.0
                    .prepare_cached(sql::ADD_STREAM)
                    .and_then(|mut add| add.insert([&name]))
                    .expect("a stream")
            });
            let last = "SELECT version FROM events WHERE stream = ?1 ORDER BY version DESC LIMIT 1";
            let mut last = self.0.prepare_cached(last).expect("a statement");
            let last: Option<i64> =
                last.query_row([key], |row| row.get(0)).optional().expect("a version");
            self.add(key, last.unwrap_or(0) + 1);
        }
        execute(&self.0, sql::COMMIT);
        count
    }

    fn add(&self, key: i64, version: i64) {
        let id = EventId::now();
        self.0
            .prepare_cached(ADD)
            .and_then(|mut add| {
                add.execute(params![&id.as_bytes()[..], key, version, PAYLOAD.as_bytes()])
            })
            .expect("an event");
    }

    pub(crate) fn fill(&mut self, events: u64, streams: u64, random: &mut Random) {
        let mut versions = vec![(0, 0); usize::try_from(streams).expect("a few")];
        for chunk in 0..events.div_ceil(20_000) {
            execute(&self.0, sql::BEGIN_WRITE);
            for _ in 0..20_000.min(events - chunk * 20_000) {
                let number = random.below(streams);
                let (key, version) = &mut versions[usize::try_from(number).expect("a few")];
                if *version == 0 {
                    let mut add = self.0.prepare_cached(sql::ADD_STREAM).expect("a statement");
                    *key = add.insert([stream(number)]).expect("a stream");
                }
                *version += 1;
                self.add(*key, *version);
            }
            execute(&self.0, sql::COMMIT);
        }
    }
}
