"""The SQL of what a fleet shares in Postgres: its tables, and one statement per verb.

Statements lock the row of the project's leader while they write, so that no other process takes the lead in between.
"""
# ruff: noqa: S608 -- tables have plain names, which `statements` has checked

import attrs


@attrs.frozen
class FleetStatements:
    """The statements for the tables beside one table of events."""

    channel: str
    migrate: str
    lead: str
    ask: str
    due: str
    resign: str
    read: str
    write: str
    fenced: str
    override: str
    load: str
    load_one: str
    save: str
    insert: str
    update: str
    delete: str
    delete_expected: str
    claim: str
    forget: str
    expire: str
    count: str


def fleet_statements(table: str) -> FleetStatements:
    """Return the statements for the tables beside a table.

    Args:
        table: Its quoted name, with or without that of its schema.
    """

    def beside(suffix: str) -> str:
        return f'{table[:-1]}_{suffix}"'

    leaders, rules, assignments, exposures = map(beside, ("leaders", "rules", "sticky", "seen"))
    channel = rules.rpartition(".")[2].strip('"')
    now = "extract(epoch from clock_timestamp())::float8"
    asked = "coalesce((asked ->> $2)::float8, 0)"
    return FleetStatements(
        channel=channel,
        migrate=_migration(leaders, rules, assignments, exposures),
        lead=f"""insert into {leaders} as led (project, holder, until, token)
values ($1, $2, now() + $3::float8 * interval '1 second', 1)
on conflict (project) do update set holder = $2, until = excluded.until,
    token = led.token + case when led.holder = $2 then 0 else 1 end
where led.holder = $2 or led.until <= now() returning token""",
        # A time in the future, after a clock was set back, counts as long ago.
        ask=f"""update {leaders} set asked = asked || jsonb_build_object($3::text, {now})
where project = $1 and token = $2 and (coalesce((asked ->> $3)::float8, 0) + $4 <= {now}
    or (asked ->> $3)::float8 > {now}) returning token""",
        due=f"select {asked} + $3 - {now} as due from {leaders} where project = $1",
        resign=f"update {leaders} set until = '-infinity' where project = $1 and holder = $2",
        read=f"""select version, generation, case when version <> $3 then body end as body
from {rules} where project = $1 and key = $2""",
        write=f"""with fence as (select project from {leaders} where project = $1 and token <= $6 for share),
written as (
    insert into {rules} as old (project, key, version, generation, body)
    select $1, $2, $3, $4, $5 from fence
    where $7::text = '' or exists (select from {rules} where project = $1 and key = $2)
    on conflict (project, key) do update
    set version = excluded.version, generation = excluded.generation, body = excluded.body where old.version = $7
    returning 1
) select pg_notify('{channel}', $1) from written""",
        fenced=f"select token from {leaders} where project = $1 and token > $2",
        # Overrides are a row among the rules, which is written without a lead.
        override=f"""with written as (
    insert into {rules} as old (project, key, version, generation, body)
    select $1, $2, $3, '', $4 where $5::text = '' or exists (select from {rules} where project = $1 and key = $2)
    on conflict (project, key) do update set version = excluded.version, body = excluded.body where old.version = $5
    returning 1
) select pg_notify('{channel}', $1) from written""",
        load=f"select name, assignment from {assignments} where unit = $1",
        load_one=f"select assignment from {assignments} where unit = $1 and name = $2",
        save=f"""insert into {assignments} (unit, name, assignment) values ($1, $2, $3)
on conflict (unit, name) do update set assignment = excluded.assignment""",
        insert=f"""insert into {assignments} (unit, name, assignment) values ($1, $2, $3)
on conflict do nothing returning 1""",
        update=f"""update {assignments} set assignment = $3
where unit = $1 and name = $2 and assignment = $4 returning 1""",
        delete=f"delete from {assignments} where unit = $1 and name = $2",
        delete_expected=f"delete from {assignments} where unit = $1 and name = $2 and assignment = $3 returning 1",
        claim=f"""insert into {exposures} as old (digest, period)
select given, $2 from unnest($1::bytea[]) given order by given
on conflict (digest) do update set period = excluded.period where old.period < excluded.period returning digest""",
        forget=f"delete from {exposures} where digest = any($1::bytea[])",
        expire=f"delete from {exposures} where period < $1",
        count=f"select count(*) from (select 1 from {exposures} limit $1) recorded",
    )


def _migration(leaders: str, rules: str, assignments: str, exposures: str) -> str:
    return f"""-- Rules, sticky assignments and reported exposures that a fleet shares.
create table if not exists {leaders} (
    project text primary key,
    holder text not null,
    until timestamptz not null,
    token bigint not null,
    asked jsonb not null default '{{}}'
) with (fillfactor = 50);
create table if not exists {rules} (
    project text not null,
    key text not null,
    version text not null,
    generation text not null,
    body bytea not null,
    primary key (project, key)
);
create table if not exists {assignments} (
    unit text not null,
    name text not null,
    assignment text not null,
    primary key (unit, name)
);
create unlogged table if not exists {exposures} (
    digest bytea primary key,
    period bigint not null
) with (fillfactor = 70);
"""
