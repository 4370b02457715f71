import struct

import pytest

from classify.heads.steps import EventWriter, crc32c


def records(path):
    """The events of a file, read by the rules of TFRecord, every checksum compared."""
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = data[12 : 12 + length]
        for covered, kept in ((data[:8], data[8:12]), (event, data[12 + length : 16 + length])):
            crc = crc32c(covered)
            assert struct.unpack("<I", kept)[0] == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32
        yield event
        data = data[16 + length :]


@pytest.mark.parametrize(
    ("data", "expected"),  # RFC 3720, B.4
    [
        (b"", 0),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_checksum(data, expected):
    assert crc32c(data) == expected


def test_bytes_by_hand(tmp_path):
    with EventWriter(tmp_path / "new" / "run") as writer:
        writer.scalars(300, {"a": 0.5})
    (path,) = (tmp_path / "new" / "run").iterdir()
    assert path.name.startswith("events.out.tfevents.")
    first, second = records(path)
    assert first[9:] == b"\x1a\x0dbrain.Event:2"
    # step 300 is 0xAC 0x02; the summary holds one value of 8 bytes: tag "a", simple_value 0.5
    assert second[9:] == b"\x10\xac\x02" + b"\x2a\x0a" + b"\x0a\x08" + b"\x0a\x01a" + b"\x15" + struct.pack(
        "<f", 0.5
    )


def test_two_writers_do_not_share_a_file(tmp_path):
    with EventWriter(tmp_path) as one, EventWriter(tmp_path) as other:
        one.scalars(1, {"a": 1.0})
        other.scalars(1, {"a": 1.0})
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.tensorflow
def test_tensorflow_reads_it(tmp_path):
    tf = pytest.importorskip("tensorflow")
    with EventWriter(tmp_path) as writer:
        for step in (0, 10, 20_000):
            writer.scalars(step, {"accuracy": step / 40_000, "cross entropy – é": -1.5})
    (path,) = tmp_path.iterdir()
    events = list(tf.compat.v1.train.summary_iterator(str(path)))
    assert events[0].file_version == "brain.Event:2"
    found = [
        (event.step, {value.tag: value.simple_value for value in event.summary.value}) for event in events[1:]
    ]
    assert found == [
        (step, {"accuracy": pytest.approx(step / 40_000), "cross entropy – é": -1.5})
        for step in (0, 10, 20_000)
    ]
    assert all(abs(event.wall_time - events[0].wall_time) < 60 for event in events)
