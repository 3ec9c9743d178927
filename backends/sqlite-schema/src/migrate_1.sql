-- Otherwise a broken view of a read model would keep tables from being renamed.
PRAGMA legacy_alter_table = ON;
ALTER TABLE streams RENAME TO downlink_streams;
ALTER TABLE types RENAME TO downlink_types;
ALTER TABLE events RENAME TO downlink_events;
ALTER TABLE heads RENAME TO downlink_stream_heads;
ALTER TABLE head RENAME TO downlink_head;
ALTER TABLE projections RENAME TO downlink_projections;
ALTER TABLE dead_letters RENAME TO downlink_dead_letters;
DROP INDEX one_live_version;
CREATE UNIQUE INDEX downlink_live_projection ON downlink_projections (name) WHERE live = 1;
PRAGMA legacy_alter_table = OFF;
