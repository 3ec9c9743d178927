-- Which process works on a read model.
CREATE TABLE downlink_leases (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- A random number of the process that has it.
    token BLOB NOT NULL,
    -- Microseconds since 1970.
    until INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;

-- The last stored state of each stream, for each kind of state.
CREATE TABLE downlink_snapshots (
    stream TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The version of the state's form.
    schema INTEGER NOT NULL,
    -- Version, id and time of the last event in it.
    version INTEGER NOT NULL,
    event BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (stream, name)
) STRICT;

-- Where the events of another log are in this one: the positions from
-- `old_from` to `old_to`, both included, are those from `new_from` on.
CREATE TABLE downlink_moved (
    source TEXT NOT NULL,
    old_from INTEGER NOT NULL,
    old_to INTEGER NOT NULL,
    new_from INTEGER NOT NULL,
    PRIMARY KEY (source, old_from)
) STRICT;
