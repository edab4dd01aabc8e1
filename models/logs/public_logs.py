"""Public data sets that `flyweight download` knows: where they live, what they allow, how to cite them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import polars as pl

from contracts.faults import LogFault


@dataclass(frozen=True)
class PublicLog:
    """`files` are fetched from `home`. With `md5_beside` each has its md5 at the same address plus `.md5`;
    otherwise the checksum of the first download is trusted. `convert(fetched, folder)` writes
    interactions.csv and items.csv."""

    home: str
    files: tuple[str, ...]
    md5_beside: bool
    licence: str
    convert: Callable[[Path, Path], None]


def convert_movielens(fetched: Path, folder: Path) -> None:
    """From the zip of GroupLens; its README, which holds the terms of use, goes beside the log."""
    with ZipFile(fetched / "ml-latest-small.zip") as archive:
        ratings = pl.read_csv(archive.read("ml-latest-small/ratings.csv"), infer_schema=False)
        movies = pl.read_csv(archive.read("ml-latest-small/movies.csv"), infer_schema=False)
        (folder / "README.txt").write_bytes(archive.read("ml-latest-small/README.txt"))
    ratings.select(user_id="userId", item_id="movieId", timestamp="timestamp", rating="rating").write_csv(
        folder / "interactions.csv"
    )
    movies.rename({"movieId": "item_id"}).write_csv(folder / "items.csv")


def convert_movietweetings(fetched: Path, folder: Path) -> None:
    """From lines of fields separated by `::`."""
    ratings = _read_colons(fetched / "ratings.dat", ("user_id", "item_id", "rating", "timestamp"))
    movies = _read_colons(fetched / "movies.dat", ("item_id", "title", "genres"))
    ratings.select("user_id", "item_id", "timestamp", "rating").write_csv(folder / "interactions.csv")
    movies.write_csv(folder / "items.csv")


def _read_colons(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.split("::")
        if len(fields) != len(columns):
            raise LogFault(
                f"{path.name}, line {number}: found {len(fields)} fields, expected {len(columns)} separated by "
                "`::`. The source has changed its format; report it."
            )
        rows.append(fields)
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


PUBLIC_LOGS = {
    "movielens-latest-small": PublicLog(
        home="https://files.grouplens.org/datasets/movielens/",
        files=("ml-latest-small.zip",),
        md5_beside=True,
        licence="""\
MovieLens latest-small, by GroupLens Research, University of Minnesota.
Use under the terms in its README, which comes with the data: for research and other purposes that it
names, not for commercial use without permission, not redistributed without the same terms, and without
any claim that GroupLens endorses you.
Cite: F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. ACM
Transactions on Interactive Intelligent Systems (TiiS) 5, 4: 19:1-19:19.
https://doi.org/10.1145/2827872
""",
        convert=convert_movielens,
    ),
    "movietweetings": PublicLog(
        home="https://raw.githubusercontent.com/sidooms/MovieTweetings/master/latest/",
        files=("ratings.dat", "movies.dat"),
        md5_beside=False,
        licence="""\
MovieTweetings, Copyright (c) 2013 Simon Dooms, MIT License (https://opensource.org/license/mit):
free to use, copy, change and pass on with this notice; without warranty of any kind.
Home: https://github.com/sidooms/MovieTweetings
Cite: S. Dooms, T. De Pessemier and L. Martens. MovieTweetings: a Movie Rating Dataset Collected From
Twitter. Workshop on Crowdsourcing and Human Computation for Recommender Systems, CrowdRec at RecSys 2013.
""",
        convert=convert_movietweetings,
    ),
}
