-- What the file says of itself. `format` is the version of these tables, and
-- `log` names the log: a random number that its copies share.
CREATE TABLE downlink_meta (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT;

INSERT INTO downlink_meta VALUES ('format', 4), ('log', randomblob(16));
