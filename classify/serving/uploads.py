"""The photos of a request, raw, multipart or in JSON, as they arrive; they stay in memory and never reach a disk."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from classify.serving.batching import Answer, Gone, Photos, Refusal, Share

SILENT_SECONDS = 20.0  # a client that sends nothing for so long is given up
MOST_PHOTOS = 10_000  # of one request

Receive = Callable[[], Awaitable[Any]]


def too_large(most: int) -> Answer:
    """What is said of a photo of too many bytes."""
    return Answer(status=413, reason=f"more than {most / 1e6:g} MB, which is the most that a photo may have")


async def hung_up(receive: Receive) -> None:
    """Wait until the client hangs up, its request being read to the end."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def photos_of(headers: Mapping[str, str], receive: Receive, most: int, share: Share) -> Photos:
    """Each photo with its name as soon as it is there, the whole body being one, or each part of a multipart form.

    A photo of more than `most` bytes is not kept; the others of its form are answered.
    """
    kind, options = parse_options_header(headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        if kind.startswith(b"multipart/"):
            raise Refusal(
                415, f"{kind.decode('latin-1')} is not read; send multipart/form-data, or one photo"
            )
        yield "photo 1", await body(headers, receive, most, share)
        return
    if not options.get(b"boundary"):
        raise Refusal(400, "the form cannot be read: its Content-Type names no boundary")
    try:
        parts = _Parts(options[b"boundary"], most, share)
        async for chunk in _chunks(receive):
            parts.parser.write(chunk)
            for part in parts.ready:
                yield part
            parts.ready.clear()
        parts.parser.finalize()
    except FormParserError as error:
        raise Refusal(400, f"the form cannot be read: {error}") from error
    if not parts.is_whole:
        raise Refusal(400, "the form is cut off: its end is missing")
    if not parts.n_parts:
        raise Refusal(400, "the form holds no photo")


async def body(headers: Mapping[str, str], receive: Receive, most: int, share: Share) -> bytes:
    """The whole body, counted in `share`; a Refusal where it has more than `most` bytes, or none."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise Refusal(413, too_large(most).reason)
    data = bytearray()
    async for chunk in _chunks(receive):
        if len(data) + len(chunk) > most:
            raise Refusal(413, too_large(most).reason)
        share.take(len(chunk))
        data += chunk
    if not data:
        raise Refusal(400, "there is no photo: the body is empty")
    return bytes(data)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                message = await receive()
        except TimeoutError:
            reason = f"nothing came for {SILENT_SECONDS:g} s, and the photo is not whole"
            raise Refusal(408, reason) from None
        if message["type"] == "http.disconnect":
            raise Gone
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


class _Parts:
    """The parts of a form, each a photo; `ready` are those that ended since it was cleared."""

    def __init__(self, boundary: bytes, most: int, share: Share):
        self.most, self.share = most, share
        self.ready: list[tuple[str, bytes | Answer]] = []
        self.n_parts, self.is_whole = 0, False
        self._field, self._value, self._name = b"", b"", ""
        self._data = bytearray()
        self._is_too_large = False
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._part_data,
                "on_part_end": self._end,
                "on_end": self._end_of_form,
            },
        )

    def _begin(self) -> None:
        self.n_parts += 1
        if self.n_parts > MOST_PHOTOS:
            raise Refusal(413, f"more than {MOST_PHOTOS:,} photos in one request")
        self._name, self._data, self._is_too_large = f"photo {self.n_parts}", bytearray(), False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            given = parse_options_header(self._value)[1].get(b"filename")
            self._name = given.decode("utf-8", "replace") if given else self._name
        self._field, self._value = b"", b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_too_large:
            return
        if len(self._data) + end - start > self.most:
            self.share.give_back(len(self._data))
            self._data, self._is_too_large = bytearray(), True
            return
        self.share.take(end - start)
        self._data += data[start:end]

    def _end(self) -> None:
        photo = too_large(self.most) if self._is_too_large else bytes(self._data)
        self.ready.append((self._name, photo))

    def _end_of_form(self) -> None:
        self.is_whole = True


async def instances_of(headers: Mapping[str, str], receive: Receive, most: int, share: Share) -> Photos:
    """The photos of a request to TensorFlow Serving: ``{"instances": [{"b64": …}]}``, or ``image_bytes.b64``.

    All of its photos may have `most` bytes together, and each as well.
    """
    text = await body(headers, receive, most * 4 // 3 + 100_000, share)
    try:
        instances = _instances(text)
        for number, instance in enumerate(instances, 1):
            data = _decoded(instance, number)
            share.take(len(data))
            yield f"instance {number}", data
    finally:
        share.give_back(len(text))


def _instances(text: bytes) -> list[Any]:
    try:
        given = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON: {error}") from error
    instances = given.get("instances") if isinstance(given, dict) else None
    if not isinstance(instances, list) or not instances:
        raise Refusal(400, 'give {"instances": [{"b64": "…"}]}, a photo each')
    if len(instances) > MOST_PHOTOS:
        raise Refusal(413, f"more than {MOST_PHOTOS:,} photos in one request")
    return instances


def _decoded(instance: Any, number: int) -> bytes:
    # With several inputs TensorFlow Serving calls each by its name; ours is the only one, so any name will do.
    found = instance
    if isinstance(found, dict) and "b64" not in found and len(found) == 1:
        (found,) = found.values()
    text = found.get("b64") if isinstance(found, dict) else None
    try:
        return base64.b64decode(text, validate=True)  # type: ignore[arg-type]
    except (TypeError, ValueError, binascii.Error) as error:
        reason = f'instance {number} is no photo: give {{"b64": "…"}} with the bytes of its file in base64'
        raise Refusal(400, reason) from error
