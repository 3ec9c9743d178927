-- The names of tags that events have, each once.
CREATE TABLE downlink_tags (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Which events have a type (kind 1) or a tag (kind 2), for the events up to
-- `indexed` and no others. A segment is 65,536 positions; `positions` has the
-- offsets in it, two bytes each, ascending. With row ids, since SQLite loads
-- the whole row of a table without them to tell its length, and does not tell
-- sqlx when such a row is changed.
CREATE TABLE downlink_postings (
    kind INTEGER NOT NULL,
    key INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    positions BLOB NOT NULL,
    PRIMARY KEY (kind, key, segment)
) STRICT;

-- How far the postings are made.
CREATE TABLE downlink_indexed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT;

INSERT INTO downlink_indexed VALUES (1, 0);
