"""A run in one process: what it makes of a service that says strange things, and of the time."""

import pytest

from contracts.load_sections import Loadtest, Slo
from loadtests.event_options import EventOptions
from loadtests.load import Load
from loadtests.session import Session
from loadtests.traffic import Traffic

LOAD = Load(Loadtest(), Slo(), 600, (), 1, None, EventOptions())
STATUS = b"HTTP/1.1 200 OK\r\ncontent-length: "


def session_at(url: str) -> Session:
    return Session(LOAD, Traffic(), url, [])


@pytest.mark.parametrize(
    "said",
    [
        STATUS + b'99\r\n\r\n{"artifact": {"version"',
        STATUS + b"2\r\n\r\n[]",
        STATUS + b"4\r\n\r\nnull",
        STATUS + b"3\r\n\r\n{{{",
        b"220 mail.example ESMTP\r\n",
        b"",
    ],
)
def test_service_that_says_nothing_readable_of_itself_says_nothing(start_talker, said):
    session = session_at(start_talker(said))
    assert (session.status, session.policies) == ({}, {})


@pytest.mark.parametrize("artifact", [b"null", b"{}", b'"gone"', b'{"repeat_policy": "mask"}'])
def test_artifact_without_a_version_has_no_repeat_policy_that_could_be_checked(start_talker, artifact):
    body = b'{"artifact": %s}' % artifact
    assert session_at(start_talker(STATUS + b"%d\r\n\r\n%s" % (len(body), body))).policies == {}


@pytest.fixture
def session(unused_url, monkeypatch) -> Session:
    """One whose clock stands until the test moves it."""
    monkeypatch.setattr("gc.freeze", lambda: None)
    session = session_at(f"{unused_url}/")
    session.start()
    session.moment = 0.0
    monkeypatch.setattr(session, "now", lambda: session.moment)
    return session


def test_slash_at_the_end_of_the_url_is_dropped(session, unused_url):
    assert session.url == unused_url


def test_requests_were_due_as_long_as_they_were_to_be_however_long_the_last_answer_took(session):
    session.moment = 14.0
    session.finish(10)
    assert (session.tally.health.seconds, session.tally.health.due_seconds) == (14.0, 10)


def test_requests_of_a_run_that_was_stopped_were_due_until_then(session):
    session.moment = 4.0
    session.close()
    assert session.is_closing and session.is_over()
    session.moment = 6.0
    session.close()
    session.finish(10)
    assert (session.tally.health.seconds, session.tally.health.due_seconds) == (6.0, 4.0)


def test_requests_that_count_from_later_on_were_due_from_then_on(session):
    session.moment = 3.0
    session.begin_again()
    session.moment = 14.0
    session.finish(10)
    assert (session.tally.health.seconds, session.tally.health.due_seconds) == (11.0, 10)


def test_what_answers_are_held_against_is_made_before_the_first_of_them_comes(session):
    assert "catalog" in vars(session.traffic)
