"""TensorBoard event files, written without tensorflow: https://github.com/tensorflow/tensorboard.

An event file is a sequence of TFRecords, each a length, its checksum, a serialised ``Event`` and its checksum. Of
the protocol buffer ``Event`` only the few fields of a scalar are needed; they are put together here by hand
(https://protobuf.dev/programming-guides/encoding/).
"""

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

# Field numbers of tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto.
WALL_TIME, STEP, FILE_VERSION, SUMMARY = 1, 2, 3, 5
VALUE, TAG, SIMPLE_VALUE = 1, 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class EventWriter:
    """One event file in a folder, which TensorBoard shows as one run.

    Parameters
    ----------
    folder : str or Path
        Made when it is missing. The file has a new name each time; TensorBoard reads all of them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, EventWriter(folder) as writer:
    ...     writer.scalars(10, {"accuracy": 0.5})
    """

    def __init__(self, folder: str | os.PathLike):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{time.perf_counter_ns()}"
        self._stream = open(folder / name, "xb")
        self._write(_double(WALL_TIME, now) + _bytes(FILE_VERSION, b"brain.Event:2"))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write values by tag at a step, and hand them to the system at once, so that they can be watched."""
        summary = b"".join(
            _bytes(VALUE, _bytes(TAG, tag.encode()) + _float(SIMPLE_VALUE, value))
            for tag, value in values.items()
        )
        self._write(_double(WALL_TIME, time.time()) + _integer(STEP, step) + _bytes(SUMMARY, summary))

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self._stream.close()

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        self._stream.write(length + _checksum(length) + event + _checksum(event))
        self._stream.flush()


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | FIXED64) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | FIXED32) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated and shifted as TFRecords want it."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum of RFC 3720, which `zlib.crc32` is not.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]
