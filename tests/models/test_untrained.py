import numpy as np
import pytest

from contracts.faults import UsageFault
from contracts.rung_sections import Sasrec, VmisKnn
from contracts.sections import Settings, Training
from models.ladder import model_from_arrays
from models.rungs.mean_of_items import MeanOfItems
from models.untrained import UNTRAINED, untrained

SETTINGS = Settings(
    training=Training(max_history=6), sasrec=Sasrec(dimension=8, layers=1, heads=2), vmis_knn=VmisKnn(sessions=500)
)
ALL_POSITIONS = "sasrec-all-positions"
HISTORY = np.array([[-1, -1, -1, 4, 2, 9], [-1, -1, -1, -1, -1, -1]], dtype=np.int32)


@pytest.mark.parametrize("rung", UNTRAINED)
def test_untrained_model_of_any_size_scores_its_catalog(rung):
    scores = untrained(rung, 1000, SETTINGS, seed=1).scores(HISTORY)
    assert scores.shape == (2, 1000) and scores.dtype == np.float32 and np.isfinite(scores).all()


@pytest.mark.parametrize("rung", [rung for rung in UNTRAINED if rung != ALL_POSITIONS])
def test_arrays_give_the_same_model_back(rung):
    model = untrained(rung, 50, SETTINGS, seed=1)
    arrays = model.to_arrays()
    again = MeanOfItems.from_arrays(arrays) if rung == "mean" else model_from_arrays(rung.split(":")[0], arrays)
    np.testing.assert_array_equal(again.scores(HISTORY), model.scores(HISTORY))


def test_computing_the_newest_position_alone_gives_the_same_scores():
    plain, short = (untrained(rung, 50, SETTINGS, seed=1).scores(HISTORY) for rung in (ALL_POSITIONS, "sasrec"))
    np.testing.assert_allclose(plain, short, atol=1e-5)


@pytest.mark.parametrize("rung", ["item-to-item", "sasrec", "mean"])
def test_seed_decides_the_weights(rung):
    same, again, other = (untrained(rung, 50, SETTINGS, seed).scores(HISTORY[:1]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(same, again)
    assert not np.allclose(same, other)


def test_mean_scores_by_the_middle_of_the_items_in_the_history():
    table = np.array([[1, 0], [0, 1], [2, 2], [9, 9]], dtype=np.float32)  # the last row is the padding's
    scores = MeanOfItems(table).scores(np.array([[-1, 0, 1], [-1, -1, -1]], dtype=np.int32))
    np.testing.assert_allclose(scores, [[0.5, 0.5, 0.5 * 2 + 0.5 * 2], [0, 0, 0]])


def test_unknown_rung_is_refused_with_those_there_are():
    with pytest.raises(UsageFault, match=r"popularity, item-to-item, .*, mean"):
        untrained("markov", 10, SETTINGS, seed=1)
