import asyncio
from dataclasses import replace

import pytest

from accounts import keys
from accounts.authentication import KeyTable
from accounts.errors import AccountsUnavailable, InvalidApiKey, PermissionDenied
from accounts.key_source import FOREVER, ChangeNote, Changes, KeyRow
from accounts.records import AccountsSettings, LimitRule
from tests.unit.accounts.fakes import FakeDoor, FakeKeySource

PEPPER = b"pepper"
NOW = 1_800_000_000.0


def stored(**changes) -> tuple[KeyRow, str]:
    key = keys.new_key(PEPPER)
    row = KeyRow(
        id=7, public_id=key.public_id, name="k", digests=((bytes.fromhex(key.digest), FOREVER),), usable_until=FOREVER
    )
    return replace(row, **changes), key.token


class Bench:
    def __init__(self, *rows: KeyRow) -> None:
        self.now = NOW
        self.source = FakeKeySource(*rows)
        self.door = FakeDoor()
        self.table = KeyTable(pepper=PEPPER, source=self.source, door=self.door, clock=lambda: self.now)

    def poll(self, **note) -> None:
        found = ChangeNote(**note)
        asked = self.table.to_reread(set(found.keys), set(found.teams), found.everybody)
        changed = bool(found.keys or found.teams or found.everybody)
        self.table.apply(Changes(any=changed, asked=asked, rows=self.source.read(asked)))


async def test_a_warm_key_neither_reads_nor_waits():
    row, token = stored()
    bench = Bench(row)
    await bench.table.authenticate(token, None)
    warm = bench.table.authenticate(token, None)
    with pytest.raises(StopIteration) as done:
        warm.send(None)

    assert done.value.value.key_id == 7
    assert bench.source.reads == [(row.public_id,)]


async def test_a_hundred_calls_with_a_cold_key_read_it_once():
    row, token = stored()
    bench = Bench(row)
    await asyncio.gather(*[bench.table.authenticate(token, None) for _ in range(100)])

    assert len(bench.source.reads) == 1


@pytest.mark.parametrize("tamper", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: "xxxxx" + t[5:]])
async def test_a_wrong_secret_is_refused_cold_and_warm(tamper):
    row, token = stored()
    bench = Bench(row)
    for _ in range(2):
        with pytest.raises(InvalidApiKey):
            await bench.table.authenticate(tamper(token), None)
        await bench.table.authenticate(token, None)


async def test_what_the_database_holds_opens_nothing():
    row, _ = stored()
    bench = Bench(row)
    digest = row.digests[0][0].hex()
    for guess in (digest, f"llmp-{row.public_id}-{digest}", f"llmp-{row.public_id}-{digest[:43]}"):
        with pytest.raises(InvalidApiKey):
            await bench.table.authenticate(guess, None)


async def test_tokens_with_strange_characters_are_refused():
    row, token = stored()
    bench = Bench(row)
    await bench.table.authenticate(token, None)
    for guess in ("", "é" * 60, token[:-1] + "é", token + "\0", "llmp-" + "0" * 16):
        with pytest.raises(InvalidApiKey):
            await bench.table.authenticate(guess, None)


async def test_guessing_an_unknown_id_reads_once_in_a_while():
    bench = Bench()
    _, token = stored()
    for _ in range(20):
        with pytest.raises(InvalidApiKey):
            await bench.table.authenticate(token, None)

    assert len(bench.source.reads) == 1


async def test_a_key_made_after_it_was_guessed_works_at_the_next_poll():
    row, token = stored()
    bench = Bench()
    with pytest.raises(InvalidApiKey):
        await bench.table.authenticate(token, None)
    bench.source.rows[row.public_id] = row
    bench.poll(keys=frozenset({7}))

    assert await bench.table.authenticate(token, None)


@pytest.mark.parametrize("change", [{"usable_until": 0.0}, {"usable_until": NOW}, {"digests": ()}])
async def test_a_change_is_seen_at_the_next_poll(change):
    row, token = stored()
    bench = Bench(row)
    await bench.table.authenticate(token, None)
    bench.source.rows[row.public_id] = replace(row, **change)
    bench.poll(keys=frozenset({7}))

    with pytest.raises(InvalidApiKey):
        await bench.table.authenticate(token, None)


async def test_a_change_whose_poll_failed_is_seen_at_the_next():
    row, token = stored()
    bench = Bench(row)
    await bench.table.authenticate(token, None)
    bench.source.rows[row.public_id] = replace(row, usable_until=NOW)
    bench.table.to_reread({7}, set(), False)
    bench.poll()

    with pytest.raises(InvalidApiKey):
        await bench.table.authenticate(token, None)


async def test_a_deleted_key_is_gone_at_the_next_poll():
    row, token = stored()
    bench = Bench(row)
    await bench.table.authenticate(token, None)
    bench.source.rows.clear()
    bench.poll(keys=frozenset({7}))

    with pytest.raises(InvalidApiKey):
        await bench.table.authenticate(token, None)


async def test_a_change_of_a_team_reaches_its_keys():
    row, token = stored(team_id=3, team="old")
    bench = Bench(row)
    await bench.table.authenticate(token, None)
    bench.source.rows[row.public_id] = replace(row, team="new")
    bench.poll(teams=frozenset({3}))

    assert (await bench.table.authenticate(token, None)).team == "new"


async def test_a_key_expires_by_the_clock_and_the_old_secret_after_its_overlap():
    key = keys.new_key(PEPPER)
    old = keys.new_key(PEPPER, public_id=key.public_id)
    row, _ = stored(
        public_id=key.public_id,
        digests=((bytes.fromhex(key.digest), FOREVER), (bytes.fromhex(old.digest), NOW + 60)),
        usable_until=NOW + 120,
    )
    bench = Bench(row)
    assert await bench.table.authenticate(old.token, None)
    bench.now += 60
    with pytest.raises(InvalidApiKey):
        await bench.table.authenticate(old.token, None)
    assert await bench.table.authenticate(key.token, None)
    bench.now += 60
    with pytest.raises(InvalidApiKey):
        await bench.table.authenticate(key.token, None)


async def test_without_sql_known_keys_work_and_unknown_ones_are_not_called_wrong():
    row, token = stored()
    bench = Bench(row)
    await bench.table.authenticate(token, None)
    bench.door.down = True

    assert await bench.table.authenticate(token, None)
    with pytest.raises(AccountsUnavailable):
        await bench.table.authenticate(stored()[1], None)


async def test_an_answer_that_came_too_late_is_used_by_the_next_call_and_read_again_at_the_next_poll():
    row, token = stored()
    bench = Bench(row)
    bench.door.frozen = True
    with pytest.raises(AccountsUnavailable):
        await bench.table.authenticate(token, None)
    bench.door.thaw()

    assert await bench.table.authenticate(token, None)
    assert bench.source.reads == [(row.public_id,)]
    bench.poll()
    assert bench.source.reads == [(row.public_id,)] * 2


async def test_a_row_that_arrives_after_its_key_was_revoked_opens_nothing():
    row, token = stored()
    bench = Bench(row)
    bench.door.frozen = True
    with pytest.raises(AccountsUnavailable):
        await bench.table.authenticate(token, None)
    bench.source.rows[row.public_id] = replace(row, usable_until=NOW)
    bench.poll(keys=frozenset({7}))
    bench.door.thaw()

    with pytest.raises(InvalidApiKey):
        await bench.table.authenticate(token, None)


async def test_a_row_that_arrives_late_replaces_none_that_was_read_after_it():
    row, token = stored()
    bench = Bench(row)
    bench.door.frozen = True
    with pytest.raises(AccountsUnavailable):
        await bench.table.authenticate(token, None)
    bench.source.rows[row.public_id] = replace(row, team="new")
    bench.door.frozen = False
    await bench.table.authenticate(token, None)
    bench.door.thaw()

    assert (await bench.table.authenticate(token, None)).team == "new"


async def test_a_row_read_before_a_change_that_arrives_during_its_poll_is_read_again_at_the_next():
    row, token = stored()
    bench = Bench(row)
    first = asyncio.ensure_future(bench.table.authenticate(token, None))
    while not bench.door.jobs:
        await asyncio.sleep(0)
    asked = bench.table.to_reread({7}, set(), False)
    assert await first
    bench.table.apply(Changes(any=True, asked=asked, rows={}))
    bench.source.rows[row.public_id] = replace(row, usable_until=NOW)
    bench.poll()

    with pytest.raises(InvalidApiKey):
        await bench.table.authenticate(token, None)


async def test_known_keys_work_only_so_long_without_sql():
    row, token = stored()
    bench = Bench(row)
    bench.table.configure(AccountsSettings(grace_without_sql_s=0.0))
    await bench.table.authenticate(token, None)
    bench.poll()
    await asyncio.sleep(0.01)

    with pytest.raises(AccountsUnavailable):
        await bench.table.authenticate(token, None)


async def test_addresses_are_checked_for_keys_that_have_networks():
    row, token = stored(networks=("10.0.0.0/8",))
    bench = Bench(row)
    for _ in range(2):
        assert await bench.table.authenticate(token, "10.1.1.1")
        for address, told in (("192.0.2.1", r"192\.0\.2\.1"), (None, "this address")):
            with pytest.raises(PermissionDenied, match=f"may not be used from {told}"):
                await bench.table.authenticate(token, address)


async def test_limits_are_the_keys_own_then_the_default_rows_then_the_settings():
    own = LimitRule(scope="key:7", kind="tokens", limit=10, window_s=60)
    team = LimitRule(scope="team:3", kind="requests", limit=100, window_s=60)
    defaults = (
        LimitRule(scope="default", kind="tokens", limit=99, window_s=60),
        LimitRule(scope="default", kind="concurrency", limit=4),
    )
    row, token = stored(team_id=3, limits=(own, team), default_limits=defaults)
    bench = Bench(row)
    bench.table.configure(AccountsSettings(rate_limit_rpm=60, rate_limit_window_s=30))
    principal = await bench.table.authenticate(token, None)

    assert principal.limits == (
        own,
        team,
        LimitRule(scope="key:7", kind="concurrency", limit=4),
        LimitRule(scope="key:7", kind="requests", limit=60, window_s=30),
    )
    bench.table.configure(AccountsSettings())
    assert len((await bench.table.authenticate(token, None)).limits) == 3
