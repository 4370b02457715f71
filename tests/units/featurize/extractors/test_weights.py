"""Which file the weights come from, and what is said when they are not there."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest

from featurize.errors import WeightsError
from featurize.networks.catalogue import Download, Packaged
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.weights import find_weights, keras_cache, weights_at_hand
from featurize.photos.fileindex import FileIndex

DOWNLOAD = Download("net_notop.h5", "http://127.0.0.1:9/net_notop.h5", "0" * 32, 88)


def hdf5(content: bytes = b"") -> bytes:
    """The beginning of an HDF5 file that says how long it is: superblock version 0, size at byte 40."""
    size = 48 + len(content)
    return b"\x89HDF\r\n\x1a\n" + bytes(32) + size.to_bytes(8, "little") + content


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("FEATURIZE_WEIGHTS_DIR", raising=False)


def find(weights, **more):
    return find_weights("net", weights, DOWNLOAD, FileIndex(None), **more)


def test_auto_prefers_the_folder_of_the_variable_over_the_cache(tmp_path, monkeypatch):
    cached = keras_cache() / DOWNLOAD.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(hdf5(b"cached"))
    assert (find("auto").source, find("auto").file) == ("imagenet", str(cached))
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "net_2015.weights.h5").write_bytes(hdf5(b"mine"))
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(folder))
    assert (find("auto").source, find("auto").file) == ("file", str(folder / "net_2015.weights.h5"))
    # A model that was trained on the cached weights still finds them.
    assert find("auto", sha256=find("imagenet").sha256).file == str(cached)


def test_auto_takes_no_file_of_a_network_with_a_longer_name(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(tmp_path))
    (tmp_path / "resnet50_v2.weights.h5").write_bytes(hdf5())
    assert weights_at_hand("resnet50", DOWNLOAD) is None
    assert weights_at_hand("resnet50_v2", DOWNLOAD) == tmp_path / "resnet50_v2.weights.h5"
    (tmp_path / "resnet50_mine.weights.h5").write_bytes(hdf5())
    assert weights_at_hand("resnet50", DOWNLOAD) == tmp_path / "resnet50_mine.weights.h5"


def test_the_digest_is_the_identity_and_what_is_no_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.h5", "~old.h5"):  # a tilde that names nobody is a part of the name
        (tmp_path / name).write_bytes(hdf5())
    assert find("~old.h5").file == str(tmp_path / "~old.h5")
    assert find("a.h5").identity() == find("~old.h5").identity()
    assert find("random:3").identity() != find("random:4").identity()
    (tmp_path / "w.h5").write_bytes(b"what?")
    for wrong, message in [
        ("missing.h5", "there is no weights file"),
        ("w.h5", "no HDF5"),
        ("random:x", "is no seed"),
        ("~no-such-user/w.h5", "there is no weights file ~no-such-user/w.h5"),
    ]:
        with pytest.raises(WeightsError, match=message):
            find(wrong)
    with pytest.raises(WeightsError, match="there is no graph ~no-such-user/w"):
        FrozenGraph("~no-such-user/w.pb").fingerprint()


def stick_with(folder, *names):
    (folder / "stick").mkdir()
    for name in names:
        (folder / "stick" / name).write_bytes(hdf5())
    return folder / "stick"


@pytest.mark.parametrize(
    ("download", "names", "held"),
    [
        (None, ["inception.h5", "net.h5"], "inception.h5, net.h5"),
        (None, [], "no files"),
        (Packaged("no-such-distribution", "net.pth", "0" * 64, "none"), ["other.h5"], "other.h5"),
    ],
    ids=["not-published", "empty-folder", "package"],
)
def test_a_folder_of_weights_without_a_fitting_name_is_said_to_be_so(
    tmp_path, monkeypatch, download, names, held
):
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(stick_with(tmp_path, *names)))
    with pytest.raises(
        WeightsError, match=rf"no file named net\*\.weights\.h5; it holds {held}, and"
    ) as failed:
        find_weights("net", "auto", download, FileIndex(None))
    assert "name it net.weights.h5 in that folder" in failed.value.hint


@pytest.fixture
def server(tmp_path):
    """A web server on this machine: what it serves under which name, and after how many bytes it hangs up."""
    served: dict[str, bytes] = {}
    cut: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = served[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: cut.pop(self.path, len(body))])

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", served, cut
        running.shutdown()
        thread.join()


@pytest.mark.tensorflow
def test_a_download_is_checked_and_one_that_was_cut_off_leaves_nothing_and_starts_again(
    server, tmp_path, monkeypatch, capsys, caplog
):
    address, served, cut = server
    with h5py.File(tmp_path / "made.h5", "w") as file:
        file["kernel"] = np.arange(50_000.0)
    body = served["/net.h5"] = (tmp_path / "made.h5").read_bytes()
    good = Download("net.h5", f"{address}/net.h5", hashlib.md5(body).hexdigest(), 1)
    forged = Download("net.h5", f"{address}/net.h5", "0" * 32, 1)
    cut["/net.h5"] = 1000
    for download in (good, forged):
        with pytest.raises(WeightsError, match="cannot be downloaded"):
            find_weights("net", "imagenet", download, FileIndex(None))
        assert list(keras_cache().iterdir()) == []
    # A folder whose file has another name is not silently passed over.
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(stick_with(tmp_path, "inception.h5")))
    with pytest.raises(
        WeightsError, match=r"stick .*net\*\.weights\.h5.* holds inception\.h5.*cannot be"
    ) as failed:
        find_weights("net", "auto", forged, FileIndex(None))
    assert "name it net.weights.h5 in that folder" in failed.value.hint
    assert "give a file with --weights FILE" in failed.value.hint
    assert "it holds inception.h5: the ImageNet weights are downloaded" in caplog.text
    found = find_weights("net", "imagenet", good, FileIndex(None))
    assert "A local file was found" not in capsys.readouterr().err  # there was none
    assert (found.source, found.sha256) == ("imagenet", hashlib.sha256(body).hexdigest())
    served.clear()
    assert find_weights("net", "auto", good, FileIndex(None)) == found
