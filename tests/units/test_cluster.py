"""``featurize extract --cluster``: real workers that are killed, join late, or lose their scheduler."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from builders import run, upload, write_photos

from classify.heads.tuning import tune_head
from evaluate import compare, learning_curve
from featurize import BottleheadError, Extractor, FeatureTable, Store, extract, make_extractor
from featurize.cluster import Cluster
from featurize.extraction.part_files import extract_in_parts
from featurize.extraction.parts import Assembly, divided
from featurize.photos.source import list_source

distributed = pytest.importorskip("distributed", reason="pip install '.[test]'")
pytestmark = pytest.mark.filterwarnings("ignore:::distributed", "ignore:::joblib")
N_PHOTOS, N_PARTS = 120, 5


@pytest.fixture(scope="module")
def workers():
    """Two workers in processes of their own, on this machine."""
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 60}
    with distributed.LocalCluster(**local) as running:
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(N_PHOTOS)]
    folder = write_photos(tmp_path_factory.mktemp("photos"), names, width=8, height=8)
    (folder / "a" / "0 broken.png").write_bytes(b"no photo")
    for number in range(0, 40, 2):  # in other parts, the same bytes
        (folder / "b" / f"copy{number}.png").write_bytes((folder / "a" / f"{number}.png").read_bytes())
    return folder


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory) -> FeatureTable:
    return extract(photos, "shape", store=tmp_path_factory.mktemp("fresh"))


def address(workers) -> str:
    return workers.scheduler_address.replace("tcp", "dask")


def begin(photos: Path | str, store: Path | str, *features: str) -> None:
    """One small part is there, so that the cluster goes on with parts of that size."""
    words = ["--features", *(features or ["shape"]), "--store", store, "--part", f"1/{N_PARTS}"]
    assert run("featurize", "extract", photos, *words).status == 0


def on_cluster(place: str, photos: Path | str, store: Path | str, output: Path | str):
    words = ["--features", "shape", "--store", store, "-o", output, "--cluster", place]
    return run("featurize", "extract", photos, *words)


def check(output: Path | str, whole: FeatureTable) -> None:
    """The table of one machine: no photo twice, none lost, vectors to 1e-6 of their length."""
    table = FeatureTable.read(output)
    assert table.ids.drop_columns("image") == whole.ids.drop_columns("image")
    assert table.image.tolist() == whole.image.tolist()
    for name, matrix in whole.vectors.items():
        drift = np.linalg.norm(table.vectors[name] - matrix, axis=1)
        assert (drift <= 1e-6 * np.linalg.norm(matrix, axis=1)).all()


def test_workers_make_the_table_of_one_machine_in_parts_of_512(workers, photos, whole, tmp_path):
    done = on_cluster(address(workers), photos, tmp_path / "store", tmp_path / "t.parquet")
    assert done.status == 0 and "2 workers, 2 threads" in done.err, done.err
    check(tmp_path / "t.parquet", whole)
    assert "a/0 broken.png" in (tmp_path / "t.rejects.csv").read_text()
    assert not (tmp_path / "store" / "parts").exists()


def deadly(fatal: int, marker: Path) -> Extractor:
    """An extractor that SIGKILLs its process at a photo of this mean, the first time."""

    class Deadly(Extractor):
        # Within a function, so that it travels to workers by value.
        family, version, value_names = "deadly", 1, ("mean", "deviation")

        def __init__(self, marker="", preprocess=(), store=None):
            self.marker = marker
            super().__init__(preprocess, store)

        def settings(self):
            return {}

        def prepare(self, photo):
            rgb = photo.rgb()
            if self.marker and int(rgb.sum()) == fatal:
                try:
                    os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
                    os.kill(os.getpid(), signal.SIGKILL)
                except FileExistsError:
                    pass
            return np.array([rgb.mean(), rgb.std()], np.float32)

    return Deadly(str(marker))


def test_a_worker_killed_in_mid_part_and_one_that_joins_late_change_nothing(workers, photos, tmp_path):
    from PIL import Image

    fatal = int(np.asarray(Image.open(photos / "b" / "101.png")).astype(int).sum())
    one = extract(photos, deadly(fatal, ""), store=tmp_path / "one")
    source, store, marker = list_source(photos), Store(tmp_path / "store"), tmp_path / "killed"
    output = tmp_path / "t.parquet"
    with distributed.Client(workers) as client:
        joining = threading.Timer(0.3, workers.scale, [3])
        joining.start()
        results = Cluster(client, "dask://test").extract_parts(
            divided(source, N_PARTS), [deadly(fatal, marker)], keep=id, store=store, max_megapixels=200.0
        )
        Assembly(source, results, [deadly(fatal, marker)], store=store).write(output)
        joining.join()
        client.wait_for_workers(3, timeout=30)
    assert marker.exists()
    check(output, one)


def test_two_clients_on_one_source(workers, photos, whole, tmp_path):
    begin(photos, tmp_path / "store")

    def one_client(name: str) -> None:
        with distributed.Client(workers, set_as_default=False) as client:
            options = {"compute": Cluster(client, "dask://test").extract_parts, "max_megapixels": 200.0}
            shape, store = [make_extractor("shape")], Store(tmp_path / "store")
            extract_in_parts(list_source(photos), shape, tmp_path / name, store, **options)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one_client, ["1.parquet", "2.parquet"]))
    for name in ("1.parquet", "2.parquet"):
        check(tmp_path / name, whole)
    assert not (tmp_path / "store" / "parts").exists()


SCHEDULER = """
import sys, warnings
from distributed import LocalCluster
warnings.simplefilter("ignore")
if __name__ == "__main__":
    local = dict(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=None)
    print(LocalCluster(**local).scheduler_address, flush=True)
    sys.stdin.read()
"""


def test_the_scheduler_is_killed_and_the_command_repeated(workers, photos, whole, tmp_path):
    begin(photos, tmp_path / "store")

    def n_done() -> int:
        return len(list((tmp_path / "store").glob("parts/*/*.parquet")))

    command = [sys.executable, "-c", SCHEDULER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as scheduler:
        place = scheduler.stdout.readline().strip().replace("tcp", "dask")
        ended = threading.Event()

        def kill() -> None:
            while n_done() < 2 and not ended.wait(0.002):
                pass
            os.kill(scheduler.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        done = on_cluster(place, photos, tmp_path / "store", tmp_path / "t.parquet")
        ended.set()
        killer.join()
    assert done.status == 1 and "is gone" in done.error and "again" in done.hint
    assert not (tmp_path / "t.parquet").exists()
    assert 2 <= n_done() < N_PARTS
    assert on_cluster(address(workers), photos, tmp_path / "store", tmp_path / "t.parquet").status == 0
    check(tmp_path / "t.parquet", whole)


def test_a_bucket_that_refuses_every_tenth_request(s3, bucket, tmp_path):
    photos = write_photos(tmp_path / "photos", [f"{n}.png" for n in range(15)])
    upload(photos, f"{bucket}/photos")
    begin(f"{bucket}/photos", f"{bucket}/store")
    s3.fail_each = 10
    local = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "processes": False}
    with distributed.LocalCluster(**local, protocol="tcp://", silence_logs=60) as workers:
        done = on_cluster(address(workers), f"{bucket}/photos", f"{bucket}/store", f"{bucket}/t.parquet")
    n_refused = len(s3.requests) // 10
    s3.fail_each = 0
    assert done.status == 0 and n_refused > 3, done.err
    check(f"{bucket}/t.parquet", extract(photos, "shape", store=tmp_path / "one"))


def test_workers_that_would_compute_something_else_are_named_before_the_work(
    workers, photos, tmp_path, monkeypatch
):
    class WithoutWeights(Extractor):
        family, version, value_names = "weighty", 1, ("mean",)
        here = os.getpid()

        def attach(self, store):
            if os.getpid() != self.here:
                raise BottleheadError("the weights of weighty are missing", "copy them")

        def settings(self):
            return {}

    with distributed.Client(workers) as client:
        with pytest.raises(BottleheadError, match=r"tcp://.*: the weights of weighty are missing"):
            Cluster(client, "dask://test").check([WithoutWeights()], Store(tmp_path / "store"))
    monkeypatch.setattr("featurize.cluster.version", lambda name: "9.9" if name == "numpy" else "0.1.0")
    done = on_cluster(address(workers), photos, tmp_path / "store", tmp_path / "t.parquet")
    assert done.status == 1 and "workers cannot do this work" in done.error
    assert f"it has numpy {np.__version__} instead of 9.9" in done.error and "tcp://127.0.0.1:" in done.error
    assert not list((tmp_path / "store").glob("shape-*"))


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    # More numbers than are fitted here at once, because that is quicker than to start processes.
    rng = np.random.default_rng(0)
    label = np.repeat(["fern", "moss"], 100)
    X = rng.normal(size=(200, 520)).astype(np.float32)
    X[:, :3] += 1.5 * (label == "moss")[:, None]
    return FeatureTable.from_arrays({"x": X}, label=label)


def test_comparisons_curves_and_searches_on_workers_give_the_same_numbers_and_data_is_sent_once(
    workers, table
):
    heads = ["naive-bayes", "knn"]
    here = compare(table, ["x"], heads, cv=3, jobs=1)
    curve = learning_curve(table, "x", "naive-bayes", sizes=[20, 60], cv=3, jobs=1)
    X, y = table.select("x")[:, :40], table.label.astype(str)
    tuning = tune_head("knn", X, y, n_folds=3)
    submitted: list[int] = []
    with distributed.Client(workers) as client:
        scatter = client.scatter

        def counting(data, **options):
            submitted.append(getattr(data, "nbytes", 0))
            return scatter(data, **options)

        client.scatter = counting
        with joblib.parallel_config(backend="dask"):
            there = compare(table, ["x"], heads, cv=3)
            n_matrices = sum(n_bytes == table.vectors["x"].nbytes for n_bytes in submitted)
            curve_there = learning_curve(table, "x", "naive-bayes", sizes=[20, 60], cv=3)
            tuning_there = tune_head("knn", X, y, n_folds=3)
    assert n_matrices == 1, "six fits on one matrix"
    assert [row.accuracy.mean for row in there.results] == [row.accuracy.mean for row in here.results]
    assert (there.predictions.probabilities == here.predictions.probabilities).all()
    assert [point.accuracy for point in curve_there.points] == [point.accuracy for point in curve.points]
    assert tuning_there == tuning


@pytest.mark.parametrize(("place", "status", "says"), [
    ("dask://127.0.0.1:1", 1, "there is no Dask scheduler at dask://127.0.0.1:1"),
    ("dask://local?workers=0", 2, "workers=0"),
    ("dask://local?wokers=2", 2, "is not understood"),
    ("dask://host", 2, "names no host and port"),
    ("ray://host:1", 2, "is no Dask cluster"),
    ("local", 2, "is no Dask cluster"),
])  # fmt: skip
def test_addresses_of_no_cluster(tmp_path, monkeypatch, place, status, says):
    monkeypatch.setattr("featurize.cluster.CONNECT_SECONDS", 0.2)
    write_photos(tmp_path / "photos", ["1.png"])
    done = on_cluster(place, tmp_path / "photos", tmp_path / "store", tmp_path / "t.parquet")
    assert done.status == status and says in done.error


def test_without_dask_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    write_photos(tmp_path / "photos", ["1.png"])
    done = on_cluster("dask://local", tmp_path / "photos", tmp_path / "store", tmp_path / "t.parquet")
    assert done.status == 1 and "'.[dask]' in the checkout" in done.hint
