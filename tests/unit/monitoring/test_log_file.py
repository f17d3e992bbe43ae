"""The file that log lines go to: rotated, shared with other processes, and closed in its turn."""

import threading

from monitoring.line_writer import RotatingFile


def test_a_file_is_rotated_and_only_so_many_are_kept(tmp_path):
    file = RotatingFile(tmp_path / "proxy.log", max_bytes=100, kept=2)
    for number in range(10):
        file.write(b"%d" % number * 59 + b"\n")
    file.close()
    kept = {path.name: path.read_text()[0] for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert kept == {"proxy.log": "9", "proxy.log.1": "8", "proxy.log.2": "7"}


def test_two_processes_share_a_file_over_rotation(tmp_path):
    one, other = (RotatingFile(tmp_path / "proxy.log", max_bytes=1000, kept=50) for _ in range(2))
    for number in range(100):
        (one if number % 2 else other).write(b"%03d %s\n" % (number, b"x" * 90))
    one.close()
    other.close()
    numbers = [
        int(line.split()[0])
        for path in tmp_path.iterdir()
        if not path.name.endswith(".lock")
        for line in path.read_text().splitlines()
    ]
    assert sorted(numbers) == list(range(100))
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_a_file_moved_away_by_others_is_begun_anew(tmp_path):
    file = RotatingFile(tmp_path / "proxy.log")
    file.write(b"one\n")
    (tmp_path / "proxy.log").rename(tmp_path / "archived")
    file.write(b"two\n")
    file.close()
    assert (tmp_path / "proxy.log").read_text() == "two\n"


def test_a_file_is_not_closed_under_the_thread_that_writes_it(tmp_path, monkeypatch):
    """Its number might be another file's by then, the database's for instance."""
    file = RotatingFile(tmp_path / "proxy.log")
    closing = threading.Thread(target=file.close)
    moved = file._moved

    def while_it_is_closed() -> bool:
        closing.start()
        closing.join(0.1)
        return moved()

    monkeypatch.setattr(file, "_moved", while_it_is_closed)
    file.write(b"a line\n")
    closing.join()
    assert (tmp_path / "proxy.log").read_bytes() == b"a line\n"
