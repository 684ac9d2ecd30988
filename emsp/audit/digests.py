"""How the digest of a day is computed, as SQL, so that a day of a million changes never leaves PostgreSQL.

A change is hashed as the JSON that PostgreSQL makes of its row and of its context (who, request id, reason). The hashes of
a table and day are hashed in the order of their keys, 65,536 at a time and those again, which bounds the memory. The
digest of a day is that of its date, the digest of the day before, and of every table with changes its number of them, their
digest, and the columns that went into it: a column that comes later is left out of days before it.

Days are those of UTC, as are the times in that JSON: all our connections are. All hashes are SHA-256.
"""

from .tables import names

GENESIS = "0" * 64
"""Stands for the day before the first."""

START = "{day}::timestamp AT TIME ZONE 'UTC'"

COLUMNS = """ARRAY(
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1
)"""

OF_TABLE = f"""
SELECT '{{table}}' AS name, day, sum(number)::bigint AS count,
    encode(sha256(string_agg(digest, ''::bytea ORDER BY part)), 'hex') AS digest, {COLUMNS} AS columns
FROM (
    SELECT day, pgh_id / 65536 AS part, count(*) AS number,
        sha256(string_agg(digest, ''::bytea ORDER BY pgh_id)) AS digest
    FROM (
        WITH sealed AS MATERIALIZED (
            SELECT day, ARRAY(
                SELECT unnest({COLUMNS}) EXCEPT SELECT jsonb_array_elements_text(tables -> '{{table}}' -> 'columns')
            ) AS unknown FROM emsp_auditday
        )
        SELECT event.pgh_id, (event.pgh_created_at AT TIME ZONE 'UTC')::date AS day, sha256(convert_to(
            (to_jsonb(event) - coalesce(sealed.unknown, '{{{{}}}}'))::text
            || coalesce(jsonb_build_array(context.id, context.created_at, context.metadata)::text, ''), 'UTF8')) AS digest
        FROM {{table}} event LEFT JOIN pghistory_context context ON context.id = event.pgh_context_id
        LEFT JOIN sealed ON sealed.day = (event.pgh_created_at AT TIME ZONE 'UTC')::date
        WHERE event.pgh_created_at >= {{since}} AND event.pgh_created_at < {{until}}
        OFFSET 0
    ) AS change GROUP BY day, part
) AS part GROUP BY day"""
"""Hashed first, by OFFSET 0, and sorted then: a hash is shorter than a change."""

OF_DAY = "encode(sha256(convert_to(jsonb_build_array(day, previous, tables)::text, 'UTF8')), 'hex')"


def of_tables(since: str, until: str) -> str:
    """A query of name, day, count, digest and columns, of all tables with changes from `since` until before `until`,
    which are SQL for times."""
    return "\nUNION ALL\n".join(OF_TABLE.format(table=name, since=since, until=until) for name in names())


def faults(since: str) -> str:
    """A query of all that is not as it was sealed, as name (a day, or a table) and fault.

    Of changes from the day `since` on, which is SQL for a date; of the chain itself always all.
    """
    until = START.format(day="((SELECT max(day) FROM emsp_auditday) + 1)")
    return f"""
WITH now_there AS ({of_tables(START.format(day=since), until)}), sealed AS (
    SELECT day, told.key AS name, (told.value ->> 'count')::bigint AS count, told.value ->> 'digest' AS digest
    FROM emsp_auditday CROSS JOIN jsonb_each(tables) told WHERE day >= {since}
)
SELECT day::text, CASE
    WHEN coalesce(now_there.count, 0) <> coalesce(sealed.count, 0) THEN concat(name, ' has ', coalesce(now_there.count, 0),
        ' changes of it, and had ', coalesce(sealed.count, 0), ' when it was sealed')
    ELSE concat(name, ' has the same number of changes of it (', sealed.count, '), and not the same changes')
END
FROM now_there FULL JOIN sealed USING (day, name)
WHERE (now_there.count, now_there.digest) IS DISTINCT FROM (sealed.count, sealed.digest)
UNION ALL {CHAIN}
UNION ALL {GUARDS.format(tables=names())}"""


CHAIN = f"""
SELECT day::text, CASE
    WHEN digest <> {OF_DAY} THEN 'its row is not the one that was sealed'
    WHEN count <> told THEN concat('says ', count, ' changes, and its tables ', told)
    WHEN day_before IS NULL THEN 'the days before it are missing'
    WHEN day_before <> day - 1 THEN concat('the days after ', day_before, ' and before it are missing')
    ELSE 'does not follow the digest of the day before'
END
FROM (
    SELECT *, lag(day) OVER (ORDER BY day) AS day_before, lag(digest, 1, '{GENESIS}') OVER (ORDER BY day) AS digest_before,
        (SELECT coalesce(sum((value ->> 'count')::bigint), 0) FROM jsonb_each(tables)) AS told
    FROM emsp_auditday
) AS chain
WHERE digest <> {OF_DAY} OR count <> told OR day_before <> day - 1 OR previous <> digest_before"""

GUARDS = """
SELECT name, 'its guards are gone or switched off' FROM unnest(ARRAY{tables}) AS name
WHERE 2 <> (
    SELECT count(*) FROM pg_trigger
    WHERE tgrelid = name::regclass AND tgname IN ('change_is_kept', 'change_is_of_today') AND tgenabled IN ('O', 'A')
)"""
