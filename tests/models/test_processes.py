"""Several processes that train one network: real ones, on the tiny world."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from learning_process import SAMPLED, WHOLE, learn
from safetensors.numpy import load_file

from models import processes
from models.runs import find_runs

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture(scope="module")
def together(tmp_path_factory, split):
    """The folder where two processes left what they learned, and what they printed."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "flyweight.toml").write_text(
        f'[paths]\nruns = "{folder / "runs"}"\n[training]\nmax-history = 10\nthreads = 1\n'
        "[popularity]\nhalf-lives-days = [7.0]\n[sasrec]\ndimension = 8\nheads = 1\nepochs = 2\n"
        "full-softmax-scores = 0\nnegatives = 64\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(HERE / "learning_process.py"), str(split.folder), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.parametrize("softmax", [WHOLE, SAMPLED], ids=["whole", "sampled"])
def test_both_processes_end_with_the_same_weights_as_good_as_those_of_one(together, split, tmp_path, softmax):
    first, second = (load_file(together[0] / f"{softmax}-{number}.safetensors") for number in (0, 1))
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    _, alone = learn(split, tmp_path, softmax)
    # Without dropout the same batches, negatives and gradients: only the last digits differ, which may swap two
    # items of nearly equal scores here and there.
    np.testing.assert_allclose(first["epochs"], alone, rtol=0.03)


def test_death_of_one_process_is_said_by_the_other(together):
    said = (together[0] / "fault").read_text()
    assert "process 1 of 2 cannot go on" in said and "one of them ended" in said


def test_command_under_torchrun_writes_one_run_and_speaks_once(together, split):
    folder, printed = together
    assert printed.count("sasrec: validation NDCG@10") == 1
    (run,) = find_runs(folder / "runs")
    assert run.description.settings["processes"] == 2
    assert run.model().scores(np.array([[-1, 3]], dtype=np.int32)).shape == (1, split.catalog_size)


def test_one_process_alone_waits_for_nobody():
    assert processes.count() == 1 and processes.is_first()
    assert processes.first_alone(lambda: 7) == 7 and processes.as_first_says(0.5) == 0.5
    processes.wait()
