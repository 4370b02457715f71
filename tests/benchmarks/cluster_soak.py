"""Workers and schedulers are killed at random until the table is done, again and again; it is one machine's each time.

    nice -n 10 python tests/benchmarks/cluster_soak.py [--rounds 5] [--photos 4000] [--seed 0]

Scheduler and workers are processes of their own, as on a real cluster. Each round has a new store. A command that
ended because the scheduler was killed is repeated with a new scheduler.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from builders import write_photos

from featurize import FeatureTable, extract

FEATURES = ["glcm", "shape"]
N_WORKERS = 2


class Machines:
    """A scheduler and its workers; a worker that was killed is followed by another one."""

    def __init__(self, folder: Path):
        self.file = folder / f"scheduler-{time.monotonic_ns()}.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard")
        while not self.file.exists():
            time.sleep(0.1)
        self.workers = [self.new_worker() for _ in range(N_WORKERS)]
        text = self.file.read_text()
        self.address = text[text.index("tcp://") :].split('"')[0].replace("tcp", "dask")

    def _start(self, *words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", *words, "--scheduler-file", str(self.file)]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, **silent, start_new_session=True)

    def new_worker(self) -> subprocess.Popen:
        return self._start("worker", "--nthreads", "1", "--no-dashboard", "--no-nanny")

    def kill_worker(self, number: int) -> None:
        self.workers[number].kill()
        self.workers[number].wait()
        self.workers[number] = self.new_worker()

    def end(self) -> None:
        for process in [self.scheduler, *self.workers]:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = write_photos(folder / "photos", [f"{'ab'[n % 2]}/{n}.png" for n in range(args.photos)])
        whole = extract(photos, FEATURES, store=folder / "whole")
        for number in range(args.rounds):
            killed = {"workers": 0, "schedulers": 0}
            output = folder / f"{number}.parquet"
            while not output.exists():
                machines = Machines(folder)
                words = [
                    "extract",
                    str(photos),
                    "--features",
                    *FEATURES,
                    "--store",
                    str(folder / f"s{number}"),
                ]
                words += ["-o", str(output), "--cluster", machines.address, "--quiet"]
                run = subprocess.Popen([sys.executable, "-m", "featurize", *words])
                while run.poll() is None:
                    time.sleep(float(rng.uniform(10, 30)))
                    if rng.random() < 0.2:
                        os.killpg(machines.scheduler.pid, signal.SIGKILL)
                        killed["schedulers"] += 1
                        run.wait()
                    elif run.poll() is None:
                        machines.kill_worker(int(rng.integers(N_WORKERS)))
                        killed["workers"] += 1
                machines.end()
            table = FeatureTable.read(output)
            assert table.ids == whole.ids, "rows differ"
            for features, matrix in whole.vectors.items():
                drift = np.linalg.norm(table.vectors[features] - matrix, axis=1)
                assert (drift <= 1e-6 * np.linalg.norm(matrix, axis=1)).all(), features
            print(f"round {number}: the table is that of one machine; killed: {killed}", flush=True)


if __name__ == "__main__":
    main()
