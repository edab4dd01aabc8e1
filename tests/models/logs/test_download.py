import hashlib
import io
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from contracts.faults import Fault, LogFault, UsageFault
from contracts.sections import Log as Columns
from models.logs.download import download
from models.logs.log import read_log

RATINGS = b"userId,movieId,rating,timestamp\n1,007,4.0,964982703\n2,8,3.5,964982704\n"
MOVIES = b'movieId,title,genres\n007,"Rescuers, The (1977)",Animation\n8,Alien (1979),Horror\n'


def movielens_files() -> dict[str, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ml-latest-small/ratings.csv", RATINGS)
        archive.writestr("ml-latest-small/movies.csv", MOVIES)
        archive.writestr("ml-latest-small/README.txt", "Usage License")
    content = buffer.getvalue()
    md5 = hashlib.md5(content).hexdigest()
    return {
        "/ml-latest-small.zip": content,
        "/ml-latest-small.zip.md5": f"MD5 (ml-latest-small.zip) = {md5}\n".encode(),
    }


def movietweetings_files() -> dict[str, bytes]:
    return {
        "/ratings.dat": b"1::0000628::8::1362062307\n2::0001223::7::1362062624\n",
        "/movies.dat": "0000628::The Adventures of Dollie (1908)::Action|Short\n0001223::Fantômas::\n".encode(),
    }


@contextmanager
def serving(files: dict[str, bytes], *, cut_bytes: int = 0):
    """Serve `files` on a free port; `cut_bytes` are announced and not sent."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            content = files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) - cut_bytes])

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_movielens_becomes_a_log_with_titles_and_licence(tmp_path):
    with serving(movielens_files()) as source:
        result = download("movielens-latest-small", tmp_path / "log", source=source)
    log = read_log(tmp_path / "log", Columns())
    assert log.item_ids == ["007", "8"]
    assert log.titles == {"007": "Rescuers, The (1977)", "8": "Alien (1979)"}
    assert (tmp_path / "log" / "LICENSE.txt").read_text() == result.licence
    assert "GroupLens" in result.licence
    assert (tmp_path / "log" / "README.txt").read_text() == "Usage License"
    assert "as published" in result.checked[0]


def test_movietweetings_becomes_a_log_and_its_checksum_is_trusted_at_first(tmp_path):
    with serving(movietweetings_files()) as source:
        first = download("movietweetings", tmp_path / "log", source=source)
        again = download("movietweetings", tmp_path / "log", source=source)
    log = read_log(tmp_path / "log", Columns())
    assert log.item_ids == ["0000628", "0001223"]
    assert log.titles["0001223"] == "Fantômas"
    assert "Simon Dooms" in first.licence
    assert "trusted because its home publishes none" in first.checked[0]
    assert "the same as in the earlier download" in again.checked[0]


def test_changed_source_is_refused_after_the_first_download(tmp_path):
    files = movietweetings_files()
    with serving(files) as source:
        download("movietweetings", tmp_path / "log", source=source)
        files["/ratings.dat"] += b"3::0000628::1::1362062999\n"
        with pytest.raises(Fault, match=r"To accept it, remove sha256\.txt"):
            download("movietweetings", tmp_path / "log", source=source)
        assert read_log(tmp_path / "log", Columns()).report.rows_read == 2
        (tmp_path / "log" / "sha256.txt").unlink()
        download("movietweetings", tmp_path / "log", source=source)
    assert read_log(tmp_path / "log", Columns()).report.rows_read == 3


def test_wrong_checksum_is_refused_and_nothing_is_left(tmp_path):
    files = movielens_files() | {"/ml-latest-small.zip.md5": b"0" * 32}
    with serving(files) as source, pytest.raises(Fault, match=f"says {'0' * 32}"):
        download("movielens-latest-small", tmp_path / "log", source=source)
    assert list(tmp_path.iterdir()) == []


def test_checksum_file_without_checksum_is_refused(tmp_path):
    files = movielens_files() | {"/ml-latest-small.zip.md5": b"<html>moved</html>"}
    with serving(files) as source, pytest.raises(Fault, match="holds no md5"):
        download("movielens-latest-small", tmp_path / "log", source=source)


def test_missing_file_names_the_address(tmp_path):
    with serving({}) as source, pytest.raises(Fault, match=r"ratings\.dat answered 404"):
        download("movietweetings", tmp_path / "log", source=source)
    assert list(tmp_path.iterdir()) == []


def test_broken_off_transfer_is_refused_and_nothing_is_left(tmp_path):
    with serving(movietweetings_files(), cut_bytes=10) as source, pytest.raises(Fault, match="broke off after"):
        download("movietweetings", tmp_path / "log", source=source)
    assert list(tmp_path.iterdir()) == []


def test_server_that_is_down_gives_the_remedy(tmp_path):
    with serving({}) as source:
        pass
    with pytest.raises(Fault, match="Check the connection to the internet, or use `flyweight sample`"):
        download("movietweetings", tmp_path / "log", source=source)


def test_other_layout_is_refused(tmp_path):
    files = movietweetings_files() | {"/ratings.dat": b"1,0000628,8,1362062307\n"}
    with serving(files) as source, pytest.raises(LogFault, match=r"ratings\.dat, line 1: found 1 fields"):
        download("movietweetings", tmp_path / "log", source=source)


def test_zip_that_is_none_is_refused(tmp_path):
    content = b"<html>maintenance</html>"
    md5 = hashlib.md5(content).hexdigest().encode()
    files = {"/ml-latest-small.zip": content, "/ml-latest-small.zip.md5": md5}
    with serving(files) as source, pytest.raises(Fault, match="not laid out as expected"):
        download("movielens-latest-small", tmp_path / "log", source=source)
    assert list(tmp_path.iterdir()) == []


def test_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(UsageFault, match="expected movielens-latest-small or movietweetings"):
        download("netflix", tmp_path / "log")


def test_progress_counts_bytes(tmp_path):
    calls = []
    with serving(movietweetings_files()) as source:
        download("movietweetings", tmp_path / "log", source=source, progress=lambda *call: calls.append(call))
    size = len(movietweetings_files()["/ratings.dat"])
    assert ("downloading ratings.dat", size, size) in calls
