-- How far each read model was made. The models are tables of their authors.
CREATE TABLE downlink_projections (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- The cursor up to which events are in the model.
    checkpoint TEXT NOT NULL,
    -- 1 for the version that queries read, 0 for others.
    live INTEGER NOT NULL CHECK (live IN (0, 1)),
    -- The cursor up to which events were announced, if it is the live one.
    announced_to TEXT NOT NULL,
    UNIQUE (name, version)
) STRICT;

CREATE UNIQUE INDEX downlink_live_projection ON downlink_projections (name) WHERE live = 1;
