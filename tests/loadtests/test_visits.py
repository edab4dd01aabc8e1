"""Who asks, and how often: the habits of visitors, held against five standard deviations of a seeded sample."""

import random
from collections import Counter
from math import exp, sqrt

import msgspec
import pytest

from loadtests.traffic import KnownUser, Traffic, zipf_weights
from loadtests.visits import MAX_HISTORY_SENT, Mix, Question, Replay, Visits, forbidden

ITEMS = [f"i{n}" for n in range(12)]
USERS = [KnownUser("first", ITEMS[:5]), KnownUser("second", ITEMS[:2])]
TRAFFIC = Traffic(ITEMS, USERS)
MIX = Mix(known_share=0.7, anonymous_share=0.1, zipf_exponent=1.0, questions=3.0, think_seconds=1.0, k=10)
KNOWN_ONLY = {"known_share": 1.0, "anonymous_share": 0.0}
ANONYMOUS_ONLY = {"known_share": 0.0, "anonymous_share": 1.0}
COLD_ONLY = {"known_share": 0.0, "anonymous_share": 0.0}
TALKATIVE = {"questions": 1e3}


class EveryPauseIsTheMean(random.Random):
    def expovariate(self, lambd=1.0):
        return 1 / lambd


def visits_of(traffic=TRAFFIC, luck=None, **changes) -> Visits:
    return Visits(traffic, msgspec.structs.replace(MIX, **changes), luck or random.Random(1))


def ask(visits, times, now=0.0):
    return [visits.next_question(now)[1] for _ in range(times)]


def assert_near(found: int, of: int, share: float):
    assert abs(found - of * share) < 5 * sqrt(of * share * (1 - share)), f"{found} of {of}, expected {share:.2%}"


def test_visits_are_by_known_anonymous_and_cold_users_in_the_shares_asked_for():
    questions = ask(visits_of(), 10_000)
    assert_near(sum(question.known for question in questions), 10_000, 0.7)
    assert_near(sum(question.user_id is None for question in questions), 10_000, 0.1)
    assert_near(sum(q.user_id is not None and not q.known for q in questions), 10_000, 0.2)


def test_first_user_asks_twice_as_often_as_the_second_by_zipfs_law():
    asked = Counter(question.user_id for question in ask(visits_of(**KNOWN_ONLY), 9000))
    assert set(asked) == {"first", "second"}
    assert_near(asked["first"], 9000, 2 / 3)


def test_anonymous_users_look_at_the_items_that_are_looked_at_most():
    began_with = Counter(question.history[0] for question in ask(visits_of(**ANONYMOUS_ONLY), 9000))
    harmonic = sum(1 / rank for rank in range(1, 13))
    assert_near(began_with["i0"], 9000, 1 / harmonic)
    assert_near(began_with["i11"], 9000, 1 / 12 / harmonic)


def test_exponent_of_zero_makes_everybody_equal():
    asked = Counter(question.user_id for question in ask(visits_of(zipf_exponent=0, **KNOWN_ONLY), 9000))
    assert_near(asked["first"], 9000, 1 / 2)


def test_without_traffic_every_user_is_cold_and_nobody_comes_twice():
    questions = ask(visits_of(Traffic()), 1000)
    assert not any(question.known or question.user_id is None for question in questions)
    assert len({question.user_id for question in questions}) == 1000
    assert {question.fewest for question in questions} == {10}


def test_visit_has_three_questions_on_average_and_one_at_least():
    visits = visits_of(think_seconds=0)
    counts = Counter()
    for _ in range(30_000):
        visit, _ = visits.next_question(0.0)
        counts[visit] += 1
        visits.look(visit, (), 0.0)
    assert abs(len(counts) - 10_000) < 5 * sqrt(6 / 9 * 10_000)  # the variance of a visit's questions is 2 * 3
    assert_near(sum(count == 1 for count in counts.values()), len(counts), 1 / 3)


def test_visit_of_one_question_does_not_come_back():
    visits = visits_of(questions=1)
    visit, _ = visits.next_question(0.0)
    visits.look(visit, ("i1",), 0.0)
    assert all(visits.next_question(1e6)[0] is not visit for _ in range(100))


def test_who_thinks_is_not_disturbed_and_asks_when_the_pause_is_over():
    visits = visits_of(luck=EveryPauseIsTheMean(1), think_seconds=5, **TALKATIVE)
    visit, first = visits.next_question(0.0)
    visits.look(visit, (), 10.0)
    assert visits.next_question(14.9)[0] is not visit
    again, second = visits.next_question(15.0)
    assert again is visit
    assert (second.user_id, second.known) == (first.user_id, first.known)


def test_whose_pause_is_over_first_asks_first():
    visits = visits_of(luck=EveryPauseIsTheMean(1), **TALKATIVE)
    early, late = (visits.next_question(0.0)[0] for _ in range(2))
    visits.look(late, (), 2.0)
    visits.look(early, (), 1.0)
    assert [visits.next_question(9.0)[0] for _ in range(2)] == [early, late]


def test_pauses_are_exponential_with_the_mean_asked_for():
    visits = visits_of(think_seconds=2, questions=100)
    thinking = {visits.next_question(0.0)[0] for _ in range(4000)}
    thinking = {visit for visit in thinking if visit.left > 0}
    for visit in thinking:
        visits.look(visit, (), 0.0)
    returned = 0
    while visits.next_question(3.0)[0] in thinking:
        returned += 1
    assert_near(returned, len(thinking), 1 - exp(-3 / 2))


def test_who_got_no_good_answer_leaves():
    visits = visits_of(**TALKATIVE)
    visit, _ = visits.next_question(0.0)  # and nobody says that the answer came
    assert all(visits.next_question(1e6)[0] is not visit for _ in range(100))


def test_anonymous_history_grows_by_an_item_that_was_shown():
    visits = visits_of(think_seconds=0, **TALKATIVE, **ANONYMOUS_ONLY)
    visit, question = visits.next_question(0.0)
    assert len(question.history) == 1
    for number in range(1, 4):
        visits.look(visit, [f"shown-{number}", f"too-{number}"], 0.0)
        again, question = visits.next_question(0.0)
        assert again is visit
        assert len(question.history) == 1 + number
        assert question.history[-1] in {f"shown-{number}", f"too-{number}"}
    visits.look(visit, [], 0.0)
    assert len(visits.next_question(0.0)[1].history) == 4


@pytest.mark.parametrize("mix", [KNOWN_ONLY, COLD_ONLY])
def test_history_of_a_user_with_a_name_is_what_the_service_knows_and_stays_so(mix):
    visits = visits_of(think_seconds=0, **TALKATIVE, **mix)
    visit, question = visits.next_question(0.0)
    visits.look(visit, ["i9"], 0.0)
    assert visits.next_question(0.0) == (visit, msgspec.structs.replace(question, opens_visit=False))


def test_anonymous_question_is_held_only_against_the_newest_items_which_are_all_that_is_sent():
    visits = visits_of(think_seconds=0, **TALKATIVE, **ANONYMOUS_ONLY)
    visit, _ = visits.next_question(0.0)
    for number in range(60):
        visits.look(visit, [f"shown-{number}"], 0.0)
        _, question = visits.next_question(0.0)
    newest = [f"shown-{number}" for number in range(60 - MAX_HISTORY_SENT, 60)]
    assert msgspec.json.decode(question.body()) == {"history": newest, "k": 10}
    assert list(question.history) == newest


def test_body_names_the_user_or_brings_the_history_but_never_both():
    known = Question("u", known=True, k=7, fewest=7, history=["a"])
    anonymous = Question(None, known=False, k=7, fewest=7, history=["a", "b"])
    assert msgspec.json.decode(known.body()) == {"user_id": "u", "k": 7}
    assert msgspec.json.decode(anonymous.body()) == {"history": ["a", "b"], "k": 7}


@pytest.mark.parametrize(("mix", "fewest"), [(KNOWN_ONLY, 12 - 5), (ANONYMOUS_ONLY, 10), (COLD_ONLY, 10)])
def test_fewer_items_are_enough_only_where_fewer_remain(mix, fewest):
    traffic = Traffic(ITEMS, [KnownUser("u", ITEMS[:5] * 2)])
    assert ask(visits_of(traffic, **mix), 1)[0].fewest == fewest


def test_nothing_is_expected_for_a_user_who_has_seen_everything():
    traffic = Traffic(ITEMS, [KnownUser("u", [*ITEMS, *ITEMS])])
    assert ask(visits_of(traffic, **KNOWN_ONLY), 1)[0].fewest == 0


def test_replay_asks_in_the_order_of_the_log_and_then_from_its_beginning():
    replay = Replay(Traffic(ITEMS, USERS, [(0.0, 1), (2.0, 0), (3.0, 1)]), k=10)
    questions = []
    for _ in range(5):
        visit, question = replay.next_question(0.0)
        replay.look(visit, ["i9"], 0.0)
        questions.append(question)
    assert [question.user_id for question in questions] == ["second", "first", "second", "second", "first"]
    assert all(question.known for question in questions)
    assert (questions[1].k, questions[1].fewest, questions[1].history) == (10, 12 - 5, ITEMS[:5])


@pytest.mark.parametrize(
    ("policy", "items"),
    [("mask", {"a", "b"}), ("drop-last", {"b"}), ("keep", set()), ("first", set()), (None, set()), ("new", set())],
)
def test_repeat_policy_says_which_seen_items_must_not_come_back(policy, items):
    question = Question("u", known=True, k=3, fewest=1, history=["a", "b"])
    assert {item for item in ("a", "b", "c") if item in forbidden(question, policy)} == items
    cold = Question("c", known=False, k=3, fewest=3)
    assert not any(item in forbidden(cold, policy) for item in "abc")


def test_first_question_of_a_visit_opens_it_and_no_other_does():
    visits = visits_of(think_seconds=0, **TALKATIVE)
    visit, first = visits.next_question(0.0)
    visits.look(visit, (), 0.0)
    same, second = visits.next_question(0.0)
    assert (same is visit, first.opens_visit, second.opens_visit) == (True, True, False)
    assert visits.next_question(0.0)[1].opens_visit  # nobody's pause is over, so somebody new comes
    replay = Replay(Traffic(ITEMS, USERS, [(0.0, 0), (1.0, 1)]), k=10)
    assert all(replay.next_question(0.0)[1].opens_visit for _ in range(3))


def test_weights_of_a_large_catalog_are_made_once():
    """A story that divides the users between askers and clickers must not begin late for them."""
    assert zipf_weights(1000, 1.0) is zipf_weights(1000, 1.0)
