import numpy as np
import torch

from contracts.rung_sections import Sasrec as SasrecSettings
from contracts.sections import Settings, Training
from models.lesson import Lesson
from models.rungs.item_tables import FullTable
from models.rungs.sasrec_batches import TrainingWindows
from models.rungs.sasrec_training import mix_in_best_share, new_sasrec, train_network
from models.validating import Validation

SETTINGS = Settings(
    training=Training(max_history=5, threads=1),
    sasrec=SasrecSettings(dimension=8, layers=1, heads=1, epochs=1, learning_rate=1e-9),
)


def small(items):
    return new_sasrec(FullTable(items, 8), items, 5, SETTINGS.sasrec)


def test_training_starts_from_popularity(tmp_path, interactions_of):
    log = interactions_of(*[(user, item, 10 * user + item) for user in range(9) for item in range(1 + user % 4)])
    nothing_asked = Validation([], [], items=4, max_history=5)
    popularity = np.ones(4, dtype=np.float32)
    lesson = Lesson(log, 9, 4, popularity, SETTINGS, tmp_path / "checkpoint", lambda *said: None)
    windows = TrainingWindows(log, 9, 5)
    network, epochs = train_network(lambda: small(4), windows, lesson, SETTINGS.sasrec, nothing_asked)
    bias = network.item_bias.detach().numpy()[:4]
    counts = np.array([9, 6, 4, 2])
    np.testing.assert_allclose(bias - bias[0], np.log1p(counts) - np.log1p(9), atol=1e-5)
    assert epochs == [0.0]


def test_popular_list_is_mixed_in_only_where_it_helps():
    torch.manual_seed(0)
    network = small(30)
    popularity = np.ones(30, dtype=np.float32)
    popularity[7] = 100
    asked = [np.array([1])] * 4
    wanted = Validation(asked, [7] * 4, items=30, max_history=5)
    assert mix_in_best_share(network, popularity, (0.0, 1.0), wanted) == 1.0
    assert wanted.ndcg_at_10(network.scores) == 1.0
    network.mix_in_popularity(popularity, 0.0)
    best_alone = int(np.argsort(-network.scores(wanted.encoded[:1])[0])[0])
    unwanted = Validation(asked, [best_alone] * 4, items=30, max_history=5)
    assert mix_in_best_share(network, popularity, (0.0, 1.0), unwanted) == 0.0
    assert network.log_popular is None
