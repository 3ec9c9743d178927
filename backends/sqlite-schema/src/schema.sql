-- Names are long and repeat: events carry a number instead.
CREATE TABLE downlink_streams (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE downlink_types (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The log. What is looked at without the payload comes before it, since SQLite
-- reads a long row from its front.
CREATE TABLE downlink_events (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    stream INTEGER NOT NULL,
    version INTEGER NOT NULL,
    -- Position of the stream's event `version - 1`; 0 if there is none.
    prev INTEGER NOT NULL,
    -- Position of the stream's event `version & (version - 1)`; 0 if there is none.
    jump INTEGER NOT NULL,
    type INTEGER NOT NULL,
    -- Microseconds since 1970, never decreasing.
    recorded_at INTEGER NOT NULL,
    -- NULL is application/json.
    content_type TEXT,
    -- NULL is none; else each tag as one byte of length and its bytes.
    tags BLOB,
    -- NULL is {}.
    metadata BLOB,
    payload BLOB NOT NULL
) STRICT;

-- Where each stream's links begin.
CREATE TABLE downlink_stream_heads (
    stream INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT;

-- The end of the log. The next position comes from here and not from the rows,
-- so that none is given twice. `generation` rises with every transaction that
-- appends, whoever commits it.
CREATE TABLE downlink_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,
    id BLOB,
    recorded_at INTEGER NOT NULL,
    generation INTEGER NOT NULL
) STRICT;

INSERT INTO downlink_head VALUES (1, 0, NULL, 0, 0);

-- The events that a read model passed over.
CREATE TABLE downlink_dead_letters (
    projection INTEGER NOT NULL,
    position INTEGER NOT NULL,
    id BLOB NOT NULL,
    error TEXT NOT NULL,
    -- Microseconds since 1970.
    skipped_at INTEGER NOT NULL,
    PRIMARY KEY (projection, position)
) STRICT, WITHOUT ROWID;
