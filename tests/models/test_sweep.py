from models.sweep import sweep


def test_the_best_value_of_each_setting_is_found():
    best = sweep({"a": (1, 2, 3), "b": (10, 20)}, lambda c: -((c["a"] - 3) ** 2) - (c["b"] - 10) ** 2, "task")
    assert best == {"a": 3, "b": 10}


def test_settings_that_depend_on_each_other_get_a_second_sweep():
    gains = {(2, 20): 0, (1, 20): 1, (1, 10): 2, (3, 10): 3}
    best = sweep({"a": (1, 2, 3), "b": (10, 20)}, lambda c: gains.get((c["a"], c["b"]), -1), "task")
    assert best == {"a": 3, "b": 10}


def test_of_equals_the_middle_of_the_list_stays():
    assert sweep({"a": (1, 2, 3)}, lambda c: 0.0, "task") == {"a": 2}


def test_no_choice_is_scored_twice():
    asked = []
    sweep({"a": (1, 2, 3), "b": (1, 2)}, lambda c: asked.append(tuple(c.values())) or 0.0, "task")
    assert len(asked) == len(set(asked))


def test_progress_reaches_its_end():
    seen = []
    sweep({"a": (1, 2)}, lambda c: 0.0, "a task", lambda *said: seen.append(said))
    assert seen[-1] == ("a task", 4, 4)


def test_progress_speaks_before_the_first_choice_is_scored():
    seen = []
    sweep({"a": (1, 2)}, lambda c: float(len(seen)), "a task", lambda *said: seen.append(said))
    assert seen[0] == ("a task", 0, 4)
