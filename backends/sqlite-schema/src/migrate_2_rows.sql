-- The check of a cursor is FNV-1a of the event's id in 64 bits, its halves
-- folded. The halves are reckoned apart, since integers here have a sign: the
-- prime is 2^40 + 435, and `a + b - 2 * (a & b)` is the exclusive or.
INSERT INTO downlink_projections
WITH RECURSIVE
bytes (position, step, byte, id) AS (
    SELECT position, 0, 0, hex(id)
    FROM downlink_events
    WHERE position IN (SELECT announced FROM temp.downlink_former WHERE live = 1)
    UNION ALL
    SELECT
        position,
        step + 1,
        16 * instr('123456789ABCDEF', substr(id, 2 * step + 1, 1))
        + instr('123456789ABCDEF', substr(id, 2 * step + 2, 1)),
        id
    FROM bytes
    WHERE step < 16
),
mixed (position, step, hi, lo) AS (
    SELECT position, 0, 3421674724, 2216829733 FROM bytes WHERE step = 0
    UNION ALL
    SELECT
        position,
        bytes.step,
        (
            hi * 435
            + ((lo + byte - 2 * (lo & byte)) * 435 >> 32)
            + ((lo + byte - 2 * (lo & byte)) << 8)
        ) & 4294967295,
        (lo + byte - 2 * (lo & byte)) * 435 & 4294967295
    FROM mixed JOIN bytes USING (position)
    WHERE bytes.step = mixed.step + 1
)
SELECT
    key,
    name,
    version,
    checkpoint,
    live,
    ifnull(
        (
            SELECT printf('%016x-%08x', position, hi + lo - 2 * (hi & lo))
            FROM mixed
            WHERE step = 16 AND position = announced AND live = 1
        ),
        '0000000000000000-00000000'
    )
FROM temp.downlink_former;

DROP TABLE temp.downlink_former;
