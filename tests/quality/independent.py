"""An independent library's models on our split, asked our questions: `implicit` by Ben Frederickson.

Each kind is tried with a few settings, and the best on the validation part is asked on the holdout, as
our own models are chosen.
"""

from collections.abc import Iterator

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from scipy.sparse import csr_matrix

from models import metrics
from models.splits.interactions import Interactions
from models.splits.questions import Questions, validation_questions
from models.splits.split import Split

DEPTH = 20


def candidates(kind: str, seed: int) -> Iterator[tuple[str, object]]:
    """Untrained models of a kind with their names."""
    if kind == "item-to-item":
        for model in (CosineRecommender, TFIDFRecommender, BM25Recommender):
            for neighbours in (20, 100):
                yield f"{model.__name__} K={neighbours}", model(K=neighbours, num_threads=1)
    else:
        for factors in (64, 128):
            for regularization in (0.01, 0.1):
                name = f"ALS factors={factors} regularization={regularization}"
                yield name, AlternatingLeastSquares(factors, regularization, random_state=seed, num_threads=1)


def ndcg_of_best(kind: str, split: Split, questions: Questions) -> tuple[str, np.ndarray]:
    """The name of the best model of a kind, and its NDCG@10 for each question; seen items are masked."""
    best = (-1.0, "", np.empty(0))
    validation = validation_questions(split)
    for name, model in candidates(kind, seed=1):
        model.fit(_matrix(split.train, len(split.user_ids), split.catalog_size), show_progress=False)
        reached = float(_ndcg(model, split.catalog_size, validation).mean())
        if reached > best[0]:
            best = (reached, name, _ndcg(model, split.catalog_size, questions))
    return best[1], best[2]


def _matrix(interactions: Interactions, users: int, items: int) -> csr_matrix:
    """Users times items, entry = how often."""
    rows = (interactions.users, interactions.items)
    return csr_matrix((np.ones(len(interactions), dtype=np.float32), rows), shape=(users, items))


def _ndcg(model, items: int, questions: Questions) -> np.ndarray:
    """Folds each question's history in, as if it were a new user, and takes the first 20 not seen."""
    histories = [history[history < items] for history in questions.histories]
    rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    columns = np.concatenate(histories)
    asked = csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(len(histories), items))
    fold_in = {"recalculate_user": True} if hasattr(model, "recalculate_user") else {}
    recommended, scores = model.recommend(
        np.arange(len(histories)), asked, N=DEPTH, filter_already_liked_items=True, **fold_in
    )
    targets = np.array([target[0] for target in questions.targets])
    return metrics.ndcg_at(metrics.ranks(recommended, scores, targets), 10)
