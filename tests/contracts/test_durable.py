"""A reader sees the old state or the new one, and nothing else stays behind."""

import os
import subprocess
import sys

import pytest

from contracts import durable

OLD, NEW = b"old", b"new"


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def writer(tmp_path):
    """Start a process that is in the midst of writing `place`; it waits there until it is killed."""
    started = []

    def start(kind: str) -> subprocess.Popen:
        program = (
            "import pathlib, sys\nfrom contracts import durable\n"
            f"with durable.{kind}(pathlib.Path('place')) as draft:\n"
            "    (draft / 'x' if draft.is_dir() else draft).write_text('half')\n"
            "    print('writing', flush=True)\n    sys.stdin.read()\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout.readline() == b"writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_file_is_replaced_when_the_block_ends(tmp_path):
    place = tmp_path / "deep" / "place"
    durable.write_bytes(place, OLD)
    with durable.new_file(place) as draft:
        draft.write_bytes(NEW)
        assert place.read_bytes() == OLD
    assert place.read_bytes() == NEW
    assert names(place.parent) == ["place"]


def test_error_while_writing_a_file_leaves_the_old_one_and_nothing_else(tmp_path):
    place = tmp_path / "place"
    durable.write_bytes(place, OLD)
    with pytest.raises(RuntimeError), durable.new_file(place) as draft:
        draft.write_bytes(b"half")
        raise RuntimeError
    assert place.read_bytes() == OLD
    assert names(tmp_path) == ["place"]


def test_directory_changes_places_with_the_old_one(tmp_path):
    place = tmp_path / "place"
    for content, name in ((OLD, "a"), (NEW, "b")):
        with durable.new_directory(place) as draft:
            (draft / "inner").mkdir()
            (draft / "inner" / name).write_bytes(content)
    assert names(place / "inner") == ["b"]
    assert names(tmp_path) == ["place"]


def test_error_while_filling_a_directory_leaves_the_old_one_and_nothing_else(tmp_path):
    place = tmp_path / "place"
    with durable.new_directory(place) as draft:
        (draft / "a").write_bytes(OLD)
    with pytest.raises(RuntimeError), durable.new_directory(place) as draft:
        (draft / "b").write_bytes(b"half")
        raise RuntimeError
    assert names(place) == ["a"]
    assert names(tmp_path) == ["place"]


def test_draft_that_is_not_published_is_removed(tmp_path):
    with durable.draft_directory(tmp_path / "place") as draft:
        (draft / "a").write_bytes(OLD)
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["new_file", "new_directory"])
def test_next_writer_removes_what_a_killed_writer_left(tmp_path, writer, kind):
    dead = writer(kind)
    dead.kill()
    dead.wait()
    assert names(tmp_path)[0].startswith(durable.TEMPORARY)
    durable.write_bytes(tmp_path / "place", NEW)
    assert names(tmp_path) == ["place"]


@pytest.mark.parametrize("kind", ["new_file", "new_directory"])
def test_writer_at_work_is_left_alone(tmp_path, writer, kind):
    writer(kind)
    (unfinished,) = names(tmp_path)
    durable.write_bytes(tmp_path / "place", NEW)
    assert names(tmp_path) == [unfinished, "place"]


def test_leftover_of_a_longer_name_is_another_places_business(tmp_path, writer):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    other = tmp_path / f"{durable.TEMPORARY}place.json.{dead.pid}.0123abcd"
    other.write_bytes(OLD)
    durable.write_bytes(tmp_path / "place", NEW)
    assert names(tmp_path) == [other.name, "place"]
    durable.write_bytes(tmp_path / "place.json", NEW)
    assert names(tmp_path) == ["place", "place.json"]


def test_lock_is_refused_while_another_process_holds_it_and_free_when_that_dies(tmp_path):
    program = (
        "import pathlib, sys\nfrom contracts import durable\n"
        f"with durable.lock(pathlib.Path({os.fspath(tmp_path / 'lock')!r})):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), durable.lock(tmp_path / "lock", wait=False):
            pass
        holder.kill()
        holder.wait()
        with durable.lock(tmp_path / "lock", wait=False):
            pass


def test_newest_is_newer_than_what_was_written_or_made_newest_just_before(tmp_path):
    files = [tmp_path / name for name in "abc"]
    for path in files:
        path.touch()
    for path in [*files, *reversed(files)] * 50:  # far faster than the clock of a file system ticks
        durable.make_newest(path, files)
        assert sorted(files, key=lambda one: one.stat().st_mtime_ns)[-1] == path
        assert len({one.stat().st_mtime_ns for one in files if one != path} & {path.stat().st_mtime_ns}) == 0


def test_newest_is_newer_than_what_a_clock_that_went_ahead_wrote(tmp_path):
    ahead, path = tmp_path / "ahead", tmp_path / "path"
    ahead.touch(), path.touch()
    os.utime(ahead, ns=(4_000_000_000 * 10**9, 4_000_000_000 * 10**9))
    durable.make_newest(path, [ahead, tmp_path / "gone", path])
    assert path.stat().st_mtime_ns > ahead.stat().st_mtime_ns
