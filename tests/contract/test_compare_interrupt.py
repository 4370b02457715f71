"""Ctrl-C while several processes fit: no chatter, no waiting, and the exit status that a shell expects."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from builders import hears_sigint

from featurize import FeatureTable

SLOW = """
import pathlib, time
from sklearn.dummy import DummyClassifier

class Slow(DummyClassifier):
    def fit(self, X, y):
        pathlib.Path("fitting").touch()
        time.sleep(100)
"""


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_a_comparison_at_once(confused, tmp_path, jobs):
    (tmp_path / "slow.py").write_text(SLOW)
    wide = np.tile(confused.vectors["good"], 1 + 100_000 // confused.vectors["good"].size)  # worth processes
    FeatureTable(confused.ids, {"good": wide}).write(tmp_path / "t.npz")
    command = ["compare", "t.npz", "--features", "good", "--heads", "slow.Slow", "--jobs", jobs]
    with hears_sigint():
        running = subprocess.Popen(
            [sys.executable, "-m", "evaluate", *command],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            if (tmp_path / "fitting").exists() or running.poll() is not None:
                break
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGINT)  # what a terminal does: everybody hears it
        out, err = running.communicate(timeout=30)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 130, err
    assert out == "" and "Traceback" not in err
    assert err.splitlines()[-2] == "error: interrupted"
