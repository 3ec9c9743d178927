-- Up to where events were announced was a position. Now it is a cursor, so that
-- it is noticed when the log is another one. In a new table, since ALTER TABLE
-- refuses to work in a database that has a broken view; and in a column of
-- another name, so that a process of an earlier release that has the file open
-- fails visibly.
CREATE TEMP TABLE downlink_former AS SELECT * FROM downlink_projections;

DROP TABLE downlink_projections;
