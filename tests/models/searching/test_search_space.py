import msgspec
import numpy as np
import optuna
import pytest

from contracts.rung_sections import Ease, Ials, ItemToItem, Jpq, Popularity, Sasrec, Student, VmisKnn
from contracts.sections import Settings
from models.searching.search_space import SEARCHED, knobs_of, params_of, section_of, settings_at

FAR_OUT = Settings(
    popularity=Popularity(half_lives_days=(7.0, 365.0)),
    item_to_item=ItemToItem(neighbours=(5,), windows=(60,), decays=(1.0,), idf=(1.0,), popularity=(10.0,)),
    vmis_knn=VmisKnn(neighbours=(10, 50), decays=(0.6,), popularity=(0.3,)),
    ials=Ials(factors=8, iterations=2, regularizations=(0.1,), alphas=(10.0,), decays=(1.0,)),
    ease=Ease(l2=(100.0,), decays=(0.6,), popularity=(0.3,)),
    sasrec=Sasrec(dimension=8, layers=1, heads=1, epochs=2, popularity=(0.0,)),
    jpq=Jpq(codebooks=2, centroids=16),
    student=Student(dimension=4, prefixes=200, guesses=5),
)


@pytest.mark.parametrize("rung", SEARCHED)
@pytest.mark.parametrize("settings", [Settings(), FAR_OUT], ids=["defaults", "far out"])
def test_every_space_has_room_for_what_is_set_and_only_holds_possible_settings(rung, settings):
    knobs, random = knobs_of(rung, settings), np.random.default_rng(1)
    section = section_of(rung, settings)
    chosen = {knob.chosen: knob.given(section)[-1] for knob in knobs if knob.chosen}
    params = params_of(knobs, section, chosen)
    space = {knob.field: knob.distribution() for knob in knobs}
    assert optuna.trial.create_trial(value=0.1, params=params, distributions=space)  # it refuses what lies outside
    at_given = section_of(rung, settings_at(rung, knobs, params, settings))
    assert [knob.given(at_given)[0] for knob in knobs] == [knob.given(section)[-1] for knob in knobs]
    for _ in range(50):
        drawn = {knob.field: anywhere(knob, random) for knob in knobs}
        at = settings_at(rung, knobs, drawn, settings)
        assert msgspec.convert(msgspec.to_builtins(section_of(rung, at)), type(section)) == section_of(rung, at)


def anywhere(knob, random):
    """A place in the space, its ends often among them."""
    if knob.options:
        return int(random.choice(knob.options))
    space = knob.distribution()
    place = random.choice([space.low, space.high, random.uniform(space.low, space.high)])
    return int(place) if knob.whole else float(place)


def test_dimensions_fit_the_codebooks_of_the_compressed_table():
    settings = Settings(jpq=Jpq(codebooks=32))
    assert knobs_of("sasrec", settings)[0].options == (32, 64, 96, 128)
    assert knobs_of("sasrec", Settings(jpq=Jpq(codebooks=64)))[0].options == (64, 128)
