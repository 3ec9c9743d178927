-- Up to where events were announced is a cursor and no longer a position, so
-- that it is noticed when the log is another one. In between, during a rebuild,
-- the check is not known: such a cursor is of no log, and is replaced by the
-- end of the log as one of another log is.
ALTER TABLE downlink_projections RENAME COLUMN announced TO announced_position;
ALTER TABLE downlink_projections
    ADD COLUMN announced TEXT NOT NULL DEFAULT '0000000000000000-00000000';
UPDATE downlink_projections
SET announced = CASE announced_position
    WHEN 0 THEN announced
    ELSE iif(
        printf('%016x', announced_position) = substr(checkpoint, 1, 16),
        checkpoint,
        printf('%016x-%08x', announced_position, 0)
    )
END
WHERE live = 1;
ALTER TABLE downlink_projections DROP COLUMN announced_position;
UPDATE downlink_meta SET value = 3 WHERE name = 'format';
