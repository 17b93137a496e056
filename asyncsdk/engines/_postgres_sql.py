"""The SQL of the Postgres engine: its table, with settings that keep it small, and one statement per verb.

Rows come and go all the time, so the table must not bloat:

* `due`, `deliveries` and `owner`, which change with each lease, are in no index: Postgres updates such a row on its own
  page (HOT), where `fillfactor` leaves space, and writes no index.
* `body` is not compressed, and a large one is stored apart once, however often its row changes.
* Autovacuum runs after a fixed number of dead rows, without pauses, instead of after a share of a table that is empty
  most of the time.
* `take` starts at the oldest row that existed a second ago (`floor`), not at all the deleted ones before it. So a long
  query elsewhere, which keeps vacuum from removing these, does not slow it down.

* Leases are committed without waiting for the disk (`_UNSYNCED`): 0.5 ms instead of 3. After a crash of the server,
  those of its last moments are lost, and their entries are taken again. What `put` and `ack` do waits for the disk.

Ids are given when a row is inserted, which may be long before its transaction commits (`put_in`). So a row may appear
below others that have been taken already. It is not skipped: the floor rises only to a row that is older than every
transaction which could still commit one, those that wrote something before `floor` was read and have not ended
(`pending_until`, and `ended_before` of a later reading).
"""

import re
from functools import lru_cache

import attrs

from asyncsdk.engines._postgres_fleet_sql import FleetStatements, fleet_statements
from asyncsdk.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,54}")
_VACUUM = ", ".join(
    f"{prefix}autovacuum_vacuum_{setting}"
    for prefix in ("", "toast.")
    for setting in ("scale_factor = 0", "threshold = 2000", "cost_delay = 0")
)

# In a FROM list: commits this statement alone without waiting for the disk.
_UNSYNCED = "(select set_config('synchronous_commit', 'off', true)) as unsynced"


@attrs.frozen
class Statements:
    """The statements for one table."""

    table: str
    channel: str
    migrate: str
    put: str
    floor: str
    take: str
    extend: str
    release: str
    ack: str
    stats: str
    fleet: FleetStatements


def statements(table: str, *, notify: bool = True) -> Statements:
    """Return the statements for a table.

    Args:
        table: Its name, with or without that of its schema.
        notify: Whether those that store entries notify the relays.

    Raises:
        ConfigurationError: It is not a plain name.
    """
    schema, dot, name = table.rpartition(".") if isinstance(table, str) else ("", "", "")
    if not _NAME.fullmatch(name) or (dot and not _NAME.fullmatch(schema)):
        msg = "`table` must be a plain name such as asyncsdk_events or events.asyncsdk: letters, digits, underscores"
        raise ConfigurationError(msg)
    quoted = f'"{schema}"."{name}"' if dot else f'"{name}"'
    fleet = fleet_statements(quoted)
    mine = f"from unnest($1::bigint[]) given, {_UNSYNCED} where {quoted}.id = given and owner = $2"
    return Statements(
        table=quoted,
        channel=name,
        migrate=_migration(quoted, name) + fleet.migrate,
        fleet=fleet,
        # One statement, so one round trip and one commit; ids follow the order of the entries.
        put=f"""with put as (
    insert into {quoted} (destination, body)
    select $1::text, entry from unnest($2::bytea[]) with ordinality as given (entry, number) order by number
) select {f"pg_notify('{name}', left($1::text, 200))" if notify else "1"}""",  # noqa: S608 -- `quoted` is a plain name
        floor=f"""select coalesce((select id from {quoted} where destination = $1 order by id limit 1), 0) as id,
txid_snapshot_xmax(now) as pending_until, txid_snapshot_xmin(now) as ended_before
from txid_current_snapshot() as now""",  # noqa: S608
        take=f"""with next as (
    select id from {quoted} where destination = $1 and id >= $5 and due <= now()
    order by id limit $2 for update skip locked
) update {quoted} as entry
set due = now() + $3::float8 * interval '1 second', deliveries = entry.deliveries + 1, owner = $4
from next, {_UNSYNCED} where entry.id = next.id returning entry.id, entry.body, entry.deliveries""",  # noqa: S608
        extend=f"update {quoted} set due = now() + $3::float8 * interval '1 second' {mine}",  # noqa: S608
        release=f"update {quoted} set due = '-infinity', deliveries = 0, owner = null {mine}",  # noqa: S608
        ack=f"delete from {quoted} where id = any($1::bigint[])",  # noqa: S608
        stats=f"""select count(*) filter (where due <= now()) as waiting, count(*) filter (where due > now()) as taken,
coalesce(extract(epoch from now() - min(put_at)), 0)::float8 as oldest
from {quoted} where destination = $1""",  # noqa: S608
    )


@lru_cache(maxsize=64)
def put_in(table: str, channel: str, number: int, *, notify: bool = True) -> str:
    """Return the statement that stores entries in a transaction of the caller's, and notifies when it commits.

    It has no arrays: asyncpg would ask the caller's server for their types, with statements of its own.

    Args:
        table: `Statements.table`.
        channel: `Statements.channel`.
        number: Number of entries. The destination of the first is `$1`, the entry `$2`, and so on.
        notify: False leaves the notification out.
    """
    places = range(1, 2 * number, 2)
    rows = ", ".join(f"(${place}::text, ${place + 1}::bytea)" for place in places)
    labels = ", ".join(f"(${place}::text)" for place in places)
    insert = f"insert into {table} (destination, body) values {rows}"  # noqa: S608
    if not notify:
        return insert
    return f"""with put as ({insert})
select pg_notify('{channel}', left(label, 200)) from (values {labels}) as put_for (label)"""  # noqa: S608


def _migration(table: str, name: str) -> str:
    return f"""-- Events of asyncsdk that wait for a relay. Safe to run again.
create table if not exists {table} (
    id bigint generated always as identity primary key,
    destination text not null,
    body bytea not null,
    put_at timestamptz not null default now(),
    due timestamptz not null default '-infinity',
    deliveries integer not null default 0,
    owner text
) with (fillfactor = 70, {_VACUUM});
alter table {table} alter column body set storage external;
create index if not exists "{name}_order" on {table} (destination, id);
-- In microseconds since 1970: should the table be dropped and made again, relays still have ids of the old one.
select setval(pg_get_serial_sequence('{table}', 'id'), (extract(epoch from clock_timestamp()) * 1000000)::bigint)
where pg_sequence_last_value(pg_get_serial_sequence('{table}', 'id')::regclass) is null;
"""  # noqa: S608 -- `table` is a plain name
