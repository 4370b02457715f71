"""Event files for TensorBoard, read byte by byte and by TensorFlow."""

import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

from classify.heads.steps import Steps
from classify.training.train import train_in_steps


@pytest.fixture
def written(separable, tmp_path):
    """The one event file of the validation photos after 30 steps, looked at every 10."""
    plan = Steps(
        steps=30, batch_size=20, eval_interval=10, validation_batch_size=-1, summaries=tmp_path / "new"
    )
    course = train_in_steps(separable, "softmax", "wide", plan).training["steps"]
    train, validation = ((tmp_path / "new" / side).iterdir() for side in ("train", "validation"))
    (_,), (path,) = train, validation
    return path, course


def crc32c(data: bytes) -> int:
    """The checksum of RFC 3720, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def records(data: bytes):
    """The events of a file, read by the rules of TFRecord, every checksum compared."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = data[12 : 12 + length]
        for covered, kept in ((data[:8], data[8:12]), (event, data[12 + length : 16 + length])):
            crc = crc32c(covered)
            assert struct.unpack("<I", kept)[0] == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32
        yield event
        data = data[16 + length :]


def scalars(events) -> dict[tuple[str, int], float]:
    return {(value.tag, event.step): value.simple_value for event in events for value in event.summary.value}


def test_accuracy_and_cross_entropy_stand_in_the_file_at_each_step(written):
    path, course = written
    assert path.name.startswith("events.out.tfevents.")
    first, *events = [Event.FromString(record) for record in records(path.read_bytes())]
    assert first.file_version == "brain.Event:2"
    found = scalars(events)
    assert set(found) == {(tag, step) for tag in ("accuracy", "cross_entropy") for step in (10, 20, 30)}
    best = found["cross_entropy", course["best_step"]]
    assert best == pytest.approx(course["cross_entropy"], rel=1e-6)
    assert best == min(found["cross_entropy", step] for step in (10, 20, 30))
    assert all(0 <= found["accuracy", step] <= 1 for step in (10, 20, 30))


def test_a_second_run_has_a_file_of_its_own(written, separable):
    path, _ = written
    plan = Steps(steps=1, summaries=path.parent.parent)
    train_in_steps(separable, "softmax", "wide", plan)
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.tensorflow
def test_tensorflow_reads_it(written):
    tf = pytest.importorskip("tensorflow")
    path, _ = written
    events = list(tf.compat.v1.train.summary_iterator(str(path)))
    assert events[0].file_version == "brain.Event:2"
    ours = scalars(Event.FromString(record) for record in records(path.read_bytes()))
    np.testing.assert_allclose(list(scalars(events).values()), list(ours.values()))
    assert scalars(events).keys() == ours.keys()
