"""A network's run that is killed: what it had computed is stored, but for the last images."""

import os
import signal
import subprocess
import sys
import time

import pytest
from builders import n_stored, write_photos
from tolerances import any_batch, assert_near

from featurize import Backbone, extract

N_PHOTOS = 400


NETWORK = """
import sys, time
from featurize import Backbone, extract

photos, store, counter = sys.argv[1:]

class Counting(Backbone):
    def run_together(self, group, prepared):
        result = super().run_together(group, prepared)
        with open(counter, "ab", buffering=0) as stream:
            stream.write(b"." * len(prepared))
        time.sleep(0.2)  # for the kill to come before the next batch
        return result

extract(photos, Counting("mobilenet_0.25_128", weights="random", engine="openvino"), store=store)
"""


@pytest.mark.tensorflow
@pytest.mark.usefixtures("openvino")
def test_a_network_killed_twice_loses_at_most_256_images(tmp_path, monkeypatch):
    """With OpenVINO, which starts quicker: what is kept does not depend on the engine."""
    store, counter = tmp_path / "store", tmp_path / "counter"
    photos = write_photos(tmp_path / "photos", [f"{i}.png" for i in range(N_PHOTOS)])
    command = [sys.executable, "-c", NETWORK, str(photos), str(store), str(counter)]
    # Makes the frozen network, so that no process below has to start TensorFlow for it.
    network = Backbone("mobilenet_0.25_128", weights="random", engine="openvino")
    extract([photos / "0.png"], network, store=store)
    n_kept = n_stored(store)
    # By the first kill more is computed than may be lost, and two batches are still to come.
    for at_least in (320, 32):
        counter.write_bytes(b"")
        process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
        while counter.stat().st_size < at_least and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        messages = process.communicate()[1].decode()
        assert process.returncode == -signal.SIGKILL, messages
        n_before, n_kept = n_kept, n_stored(store)
        assert n_kept >= n_before + counter.stat().st_size - 256
    n_computed, run = [], Backbone.run_together

    def counted(self, group, prepared):
        n_computed.append(len(prepared))
        return run(self, group, prepared)

    monkeypatch.setattr(Backbone, "run_together", counted)
    interrupted, alone = (extract(photos, network, store=tmp_path / place) for place in ("store", "fresh"))
    assert interrupted.ids.equals(alone.ids) and len(alone) == N_PHOTOS
    # After a kill photos travel in other batches.
    (name,) = alone.features
    assert_near(interrupted.select(name), alone.select(name), any_batch(name))
    # The first found what the killed runs had kept, also the golden vector; the other makes that too.
    assert sum(n_computed) == 2 * N_PHOTOS - n_kept + 1
