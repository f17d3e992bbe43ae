import errno
import os
import signal
from typing import NamedTuple

import pytest

from accounts.journal import Journal, orphans, whole_lines
from accounts.records import CallRecord
from accounts.settlements import ledger_rows, replay
from tests.unit.accounts.builders import intent, record


def owner(call_id: str):
    return (call_id, "req_1", 1_700_000_000.5, 7, None, ((3, 4),))


SHARED_TEXT = b'[1,200,"provider","a","a/m","m","u","chat/completions",false,true,"","","",7,3]'
OLDER_TEXT = SHARED_TEXT.replace(b",7,3]", b",7]")


class Booked(NamedTuple):
    """A row of the ledger to be."""

    owner: tuple
    record: CallRecord
    bookings: list


def booked(lines) -> list[Booked]:
    return [
        Booked(tuple(row[:5]), CallRecord(*shared, *row[5:-1]), row[-1])
        for shared, own in ledger_rows(lines)
        for row in own
    ]


def call_ids(lines) -> list[str]:
    """In the order of the lines."""
    return [booked([line])[0].owner[0] for line in lines]


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path, "w1", segment_bytes=600)
    journal.open()
    yield journal
    journal.close()


def drain(journal: Journal) -> list[str]:
    ids = []
    while not journal.drained_up:
        batch = journal.read()
        ids += call_ids(batch.lines)
        journal.drained(batch)
    return ids


def lines_on_disk(tmp_path) -> list[bytes]:
    return [line for path in sorted(tmp_path.glob("*.journal")) for line in whole_lines(path.read_bytes())]


def test_every_settlement_is_read_once_and_in_order(journal):
    calls = [f"call{number}" for number in range(40)]
    for call in calls:
        journal.attempt(owner(call), intent())
        journal.settled(owner(call), [record()])
    assert journal.backlog == 40

    assert drain(journal) == calls
    assert journal.backlog == 0
    assert drain(journal) == []


def test_a_settlement_comes_back_as_it_was(journal):
    journal.settled(owner("c"), [record(1, final=False, cost_nano_usd=0), record(2, tags="a,b", stream=True)])
    first, last = booked(journal.read().lines)

    assert (first.record, last.record) == (record(1, final=False, cost_nano_usd=0), record(2, tags="a,b", stream=True))
    assert first.owner == last.owner == owner("c")[:5]
    assert first.bookings == last.bookings == [[3, 4]]


def test_what_calls_share_is_read_once_and_each_keeps_its_own(journal, tmp_path):
    for number in range(50):
        journal.settled(owner(f"c{number}"), [record(input_tokens=number, model="a" if number % 2 else "b")])
    lines = [line for line in lines_on_disk(tmp_path) if line]

    assert [shared[5] for shared, _ in ledger_rows(lines)] == ["b", "a"]
    assert {(row.owner[0], row.record.input_tokens, row.record.model) for row in booked(lines)} == {
        (f"c{number}", number, "a" if number % 2 else "b") for number in range(50)
    }


def test_files_vanish_when_drained_but_for_those_with_running_calls(journal, tmp_path):
    journal.attempt(owner("long"), intent())
    for number in range(20):
        journal.settled(owner(f"c{number}"), [record()])
    drain(journal)
    assert any(line.startswith(b"a") for line in lines_on_disk(tmp_path))

    journal.settled(owner("long"), [record()])
    drain(journal)
    assert len(list(tmp_path.glob("*.journal"))) == 1


def test_a_clean_end_leaves_nothing(tmp_path):
    journal = Journal(tmp_path, "w1")
    journal.open()
    journal.settled(owner("c"), [record()])
    drain(journal)
    journal.close()

    assert list(tmp_path.iterdir()) == []


def test_an_undrained_end_leaves_an_orphan(tmp_path):
    journal = Journal(tmp_path, "w1")
    journal.open()
    journal.settled(owner("c"), [record()])
    assert list(orphans(tmp_path)) == []
    journal.close()

    (orphan,) = orphans(tmp_path)
    assert orphan.worker == "w1"
    assert list(orphans(tmp_path)) == [], "a second process must not replay it too"
    orphan.delete()
    assert list(tmp_path.iterdir()) == []


def test_who_fails_at_one_orphan_leaves_the_others_to_the_next_replay(tmp_path):
    for worker in ("w1", "w2", "w3"):
        lost = Journal(tmp_path, worker)
        lost.open()
        lost.settled(owner("c"), [record()])
        lost.close()

    for orphan in orphans(tmp_path):
        orphan.close()
        break  # as when the database does not answer

    again = list(orphans(tmp_path))
    assert [orphan.worker for orphan in again] == ["w1", "w2", "w3"]
    for orphan in again:
        orphan.close()


def test_a_long_line_does_not_stop_the_drain(tmp_path):
    journal = Journal(tmp_path, "w1", read_bytes=64)
    journal.open()
    journal.settled(owner("c" * 900), [record()])
    journal.settled(owner("d"), [record()])

    assert drain(journal) == ["c" * 900, "d"]
    journal.close()


def test_it_is_full_at_its_cap(tmp_path):
    journal = Journal(tmp_path, "w1", segment_bytes=300, cap_bytes=2_000)
    journal.open()
    while not journal.full:
        journal.settled(owner("c"), [record()])
    assert sum(path.stat().st_size for path in tmp_path.glob("*.journal")) > 2_000

    drain(journal)
    assert not journal.full
    journal.close()


@pytest.mark.parametrize("room", [0, 1, 299])
def test_what_a_full_disk_refuses_is_kept_and_written_later(tmp_path, room):
    left = [300 + room]

    def write(file: int, data: bytes) -> int:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "no space left")
        written = os.write(file, data[: left[0]])
        left[0] -= written
        return written

    journal = Journal(tmp_path, "w1", segment_bytes=300, write=write)
    journal.open()
    for call in "abcd":
        journal.settled(owner(call), [record()])
    assert journal.full
    assert not journal.drained_up

    left[0] = 1_000_000
    assert drain(journal) == ["a", "b", "c", "d"]
    assert not journal.full
    assert replay(lines_on_disk(tmp_path))[1] == 0
    journal.close()


def test_a_drain_has_an_end_although_calls_go_on(journal):
    for call in "abc":
        journal.settled(owner(call), [record()])
    end, late = journal.end(), iter(range(1_000))
    drained = []
    while not journal.drained_to(end):
        journal.settled(owner(f"late{next(late)}"), [record()])
        batch = journal.read()
        drained += call_ids(batch.lines)
        journal.drained(batch)
    assert drained[:3] == ["a", "b", "c"]
    assert drain(journal)


def test_a_drain_does_not_wait_for_a_disk_that_refuses(tmp_path):
    left = [300]

    def write(file: int, data: bytes) -> int:
        if left[0] < len(data):
            raise OSError(errno.ENOSPC, "no space left")
        left[0] -= len(data)
        return os.write(file, data)

    journal = Journal(tmp_path, "w1", segment_bytes=300, write=write)
    journal.open()
    for call in "ab":
        journal.settled(owner(call), [record()])
    end = journal.end()
    batch = journal.read()
    assert call_ids(batch.lines) == ["a"]
    journal.drained(batch)
    assert journal.drained_to(end)
    assert not journal.drained_up
    journal.close()


def test_a_line_longer_than_a_file_gets_a_file_of_its_own(journal, tmp_path):
    journal.settled(owner("c" * 2_000), [record()])
    journal.settled(owner("d"), [record()])

    assert call_ids(replay(lines_on_disk(tmp_path))[0]) == ["c" * 2_000, "d"]
    assert drain(journal) == ["c" * 2_000, "d"]


def test_a_line_that_was_being_copied_when_the_process_died_is_left_out(journal, tmp_path):
    journal.settled(owner("whole"), [record()])
    size = next(tmp_path.glob("*.journal")).read_bytes().rstrip(b"\0")
    journal.settled(owner("torn"), [record()])
    (path,) = tmp_path.glob("*.journal")
    data = bytearray(path.read_bytes())
    data[len(size)] = 0
    path.write_bytes(data)

    calls, damaged = replay(lines_on_disk(tmp_path))
    assert (call_ids(calls), damaged) == (["whole"], 1)


def test_lines_survive_the_process_that_is_killed_with_kill_9(tmp_path):
    child = os.fork()
    if child == 0:
        journal = Journal(tmp_path, "w1")
        journal.open()
        for number in range(50):
            journal.settled(owner(f"c{number}"), [record()])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    (orphan,) = orphans(tmp_path)
    calls, damaged = replay(lines_on_disk(tmp_path))
    assert (call_ids(calls), damaged) == ([f"c{number}" for number in range(50)], 0)
    orphan.delete()


def test_replay_books_settled_calls_as_they_were_and_open_ones_as_estimated(journal, tmp_path):
    journal.attempt(owner("done"), intent())
    journal.settled(owner("done"), [record()])
    journal.attempt(owner("released"), intent())
    journal.released("released")
    journal.attempt(owner("open"), intent(1, provider="a"))
    journal.attempt(owner("open"), intent(2, provider="b"))
    journal.progress("open", 2, 3)
    journal.progress("open", 2, 7)

    calls, damaged = replay(lines_on_disk(tmp_path))

    assert damaged == 0
    assert call_ids(calls) == ["done", "open"]
    (first, *_), (last, bookings) = [(row.record, row.bookings) for row in booked(calls[1:])]
    assert (first.provider, first.final, first.cost_nano_usd, first.provider_cost_nano_usd) == ("a", False, 0, 20)
    assert (last.provider, last.final, last.input_tokens, last.output_tokens) == ("b", True, 10, 7)
    assert (last.cost_nano_usd, last.usage_source, last.error_code) == (10 * 2 + 7 * 8, "estimated", "worker_lost")
    assert bookings == [[3, 4]]


@pytest.mark.parametrize("winner", [1, 2])
def test_a_replay_charges_the_attempt_that_delivered_and_not_the_one_that_ran_beside_it(journal, tmp_path, winner):
    journal.attempt(owner("hedged"), intent(1))
    journal.attempt(owner("hedged"), intent(2))
    journal.progress("hedged", winner, 500)
    calls, _ = replay(lines_on_disk(tmp_path))

    records = [row.record for row in booked(calls)]
    charged = [found for found in records if found.final]
    assert [(found.attempt, found.output_tokens) for found in charged] == [(winner, 500)]
    assert [found.cost_nano_usd for found in records if not found.final] == [0]


def test_an_unknown_price_stays_unknown_in_a_replay(journal, tmp_path):
    journal.attempt(owner("open"), intent(rates=None))

    (row,) = booked(replay(lines_on_disk(tmp_path))[0])
    assert row.record.cost_nano_usd is None


def test_a_journal_torn_at_any_byte_still_gives_what_was_whole(journal, tmp_path):
    journal.attempt(owner("one"), intent())
    journal.settled(owner("one"), [record()])
    journal.attempt(owner("two"), intent())
    journal.settled(owner("two"), [record()])
    data = b"\n".join(lines_on_disk(tmp_path))

    for cut in range(len(data)):
        calls, damaged = replay(data[:cut].split(b"\n"))
        assert damaged <= 1
        assert len(set(call_ids(calls))) == len(calls)
        whole = data[:cut].count(b"\n")
        assert len(calls) >= (whole + 1) // 2


@pytest.mark.parametrize(
    "damaged",
    [
        b"s",
        b"s[]\t[]",
        b"snull\tnull",
        b's["c","r",1.5,7,null,1,2,3,4,5,6,7,8,9,[]]\t[1,200,"provider"]',
        b's["c","r",1.5,7,null,1,2,3,4,5,6,7,8,9,[]],[]\t%b' % SHARED_TEXT,
        b's["c","r",1.5,7,null,"1",2,3,4,5,6,7,8,9,[]]\t%b' % SHARED_TEXT,
        b's["c","r",1.5,7,null,1,2,3,4,5,6,7,8,9,[]]\t%b\t[]' % SHARED_TEXT,
        b's["c","r",1.5,7,null,1,2,3,4,5,6,7,8,9,[]]\t%b' % SHARED_TEXT[:-1],
    ],
)  # fmt: skip
def test_a_line_that_holds_anything_else_is_damaged(damaged):
    whole = b's["c","r",1.5,7,null,1,2,3,4,5,6,7,8,9,[]]\t%b' % SHARED_TEXT
    assert len(ledger_rows([whole])) == 1
    with pytest.raises(ValueError):
        ledger_rows([whole, damaged])
    assert replay([damaged]) == ([], 1)


def test_lines_of_a_worker_of_an_older_version_are_booked_as_they_were_meant():
    old = (
        b's[["c","req_1",1700000000.5,7,null,[[3,4]]],[[2,502,null,"a","a/m","m","u","chat/completions",true,false,0,0,0,0,0,0,'
        b'null,"server_error",12,null,"miss","x"],[3,200,"provider","b","b/m","m","u","chat/completions",true,true,10,5,1,2,3,'
        b'60,50,"",34,8,"miss","x",9]]]'
    )
    (settled,), damaged = replay([old])
    assert (settled, damaged) == (old, 0)
    first, last = booked([old])
    assert first.owner == last.owner == owner("c")[:5]
    assert last.bookings == [[3, 4]]
    assert first.record == CallRecord(
        2, 502, None, "a", "a/m", "m", "u", "chat/completions", stream=True, final=False, error_code="server_error",
        cache="miss", tags="x", cost_nano_usd=0, duration_ms=12,
    )  # fmt: skip
    assert last.record == CallRecord(
        3, 200, "provider", "b", "b/m", "m", "u", "chat/completions", stream=True, cache="miss", tags="x", revision=9,
        input_tokens=10, output_tokens=5, cached_tokens=1, cache_write_tokens=2, reasoning_tokens=3, cost_nano_usd=60,
        provider_cost_nano_usd=50, duration_ms=34, time_to_first_token_ms=8,
    )  # fmt: skip


def test_lines_of_before_searches_were_counted_are_booked_beside_those_with_them():
    own = b's["%b","r",1.5,7,null,1,2,3,4,5,6,7,8,9,[[3,4]]]\t'
    older, newer = own % b"c" + OLDER_TEXT, own % b"d" + SHARED_TEXT
    assert replay([older, newer]) == ([older, newer], 0)
    first, last = booked([older, newer])
    assert (first.record.searches, last.record.searches) == (0, 3)
    assert first.record._replace(searches=3) == last.record
    assert (first.record.revision, first.record.input_tokens, first.record.cost_nano_usd) == (7, 1, 6)
    assert first.bookings == last.bookings == [[3, 4]]


def test_an_attempt_of_before_searches_had_a_price_is_replayed():
    intent = b'[1,"a","a/m","m","u","chat/completions",false,10,[1000000,0,null,null,null,null,null,null],0]'
    (settled,), damaged = replay([b'a[["c","r",1.5,7,null,[]],%b]' % intent])
    assert damaged == 0
    (found,) = booked([settled])
    assert (found.record.cost_nano_usd, found.record.searches) == (10, 0)
