"""The line of photos: turns between requests, bounds, and clients that hang up; the parts of a form."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from builders import form_of
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="pip install '.[serve]'")

from classify.serving.batching import (
    OF_ONE_REQUEST,
    TOGETHER,
    Answer,
    Gone,
    Line,
    Memory,
    Metrics,
    Refusal,
    Share,
)
from classify.serving.uploads import photos_of

FOREVER = 3600


class Gate:
    """Computes photos when it is open, and remembers which came together."""

    def __init__(self):
        self.batches, self.open, self.busy = [], threading.Event(), threading.Event()

    def __call__(self, photos):
        self.batches.append([data for data, _ in photos])
        self.busy.set()
        assert self.open.wait(20)
        return [Answer(status=422, reason=data.decode()) for data, _ in photos]


async def given_photos(*names):
    for name in names:
        yield name, name.encode()


async def never():
    await asyncio.sleep(FOREVER)


def run(scenario, most=100):
    """Run ``scenario(line, gate, ask)`` beside a line that computes; ``ask(*names)`` is a request."""

    async def everything():
        with ThreadPoolExecutor(1) as pool:
            gate = Gate()
            line = Line(gate, pool, Metrics(), most)
            memory = Memory(10_000)
            runner = asyncio.create_task(line.run())

            async def asked(names, gone):
                share = Share(memory)
                for name in names:
                    share.take(len(name))
                try:
                    return await line.answers(given_photos(*names), share, gone)
                finally:
                    share.give_back(share.held)

            def ask(*names, gone=never):
                return asyncio.create_task(asked(names, gone))

            try:
                await scenario(line, gate, ask)
            finally:
                gate.open.set()
                runner.cancel()
        assert memory.held == 0

    asyncio.run(everything())


async def computing(gate):
    while not gate.busy.is_set():
        await asyncio.sleep(0.001)


def reasons(found):
    return [(name, answer.reason) for name, answer in found]


def test_who_waits_together_is_computed_together_and_answered_in_order():
    async def scenario(line, gate, ask):
        first = ask("first")
        await computing(gate)
        others = [ask(f"{number} a", f"{number} b") for number in range(3)]
        await asyncio.sleep(0.01)
        gate.open.set()
        assert reasons(await first) == [("first", "first")]
        for number, other in enumerate(others):
            assert reasons(await other) == [(f"{number} {which}", f"{number} {which}") for which in "ab"]
        assert gate.batches == [[b"first"], [b"0 a", b"1 a", b"2 a", b"0 b", b"1 b", b"2 b"]]

    run(scenario)


def test_a_request_of_hundreds_keeps_nobody_waiting():
    async def scenario(line, gate, ask):
        many = ask(*(f"many {number}" for number in range(300)))
        await computing(gate)
        await asyncio.sleep(0.01)
        assert line.n_waiting < OF_ONE_REQUEST  # the others are not even read
        single = ask("single")
        await asyncio.sleep(0.01)
        gate.open.set()
        await single
        assert b"single" in gate.batches[1]
        assert reasons(await many) == [(f"many {number}", f"many {number}") for number in range(300)]
        assert max(map(len, gate.batches)) <= TOGETHER

    run(scenario)


def test_a_full_line_refuses_and_goes_on():
    async def scenario(line, gate, ask):
        first = ask("first")
        await computing(gate)
        waiting = [ask(f"waits {number}") for number in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(Refusal) as refused:
            await ask("one too many")
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        gate.open.set()
        await asyncio.gather(first, *waiting)
        await ask("later")

    run(scenario, most=2)


def test_nothing_is_computed_for_a_client_that_hung_up():
    async def scenario(line, gate, ask):
        async def at_once():
            pass

        first = ask("first")
        await computing(gate)
        gone = ask("gone", gone=at_once)
        with pytest.raises(Gone):
            await gone
        gate.open.set()
        await first
        await ask("later")
        assert gate.batches == [[b"first"], [b"later"]]

    run(scenario)


def test_uploads_of_all_requests_share_one_limit():
    memory = Memory(100)
    one, other = Share(memory), Share(memory)
    one.take(60)
    with pytest.raises(Refusal) as refused:
        other.take(41)
    assert refused.value.status == 503
    one.give_back(60)
    other.take(100)
    one.give_back(60)  # what was given back before
    assert memory.held == 100


async def parts(body, kind, sizes, most=50):
    pieces, start = [], 0
    while start < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[start : start + size])
        start += size
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    share = Share(Memory(10_000))
    found = [one async for one in photos_of({"content-type": kind}, receive, most, share)]
    kept = sum(len(data) for _, data in found if isinstance(data, bytes))
    assert share.held == kept
    return found


def test_a_client_that_falls_silent_is_given_up(monkeypatch):
    monkeypatch.setattr("classify.serving.uploads.SILENT_SECONDS", 0.01)
    messages = [{"type": "http.request", "body": b"half", "more_body": True}]

    async def receive():
        return messages.pop(0) if messages else await never()

    async def read():
        return [one async for one in photos_of({}, receive, 50, Share(Memory(100)))]

    with pytest.raises(Refusal, match="nothing came") as refused:
        asyncio.run(read())
    assert refused.value.status == 408


NAMES = st.text(
    st.characters(exclude_characters='"\\\r\n', exclude_categories=["Cs"]), min_size=3, max_size=9
)


@given(
    photos=st.lists(st.tuples(NAMES, st.binary(max_size=80)), min_size=1, max_size=5),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_a_form_gives_its_photos_however_it_is_cut(photos, sizes):
    body, kind = form_of(*photos)
    if any(b"--limit" in data for _, data in photos):
        return
    found = asyncio.run(parts(body, kind, sizes))
    assert [name for name, _ in found] == [name for name, _ in photos]
    for (_, data), (_, given_data) in zip(found, photos, strict=True):
        assert data == given_data if len(given_data) <= 50 else data.status == 413


@pytest.mark.parametrize("cut", [1, 30, 70, 100])
def test_a_form_that_is_cut_off_is_refused(cut):
    body, kind = form_of(("a.jpg", b"some bytes of a photo"))
    with pytest.raises(Refusal, match=r"cut off|cannot be read"):
        asyncio.run(parts(body[:cut], kind, [1000]))


@pytest.mark.parametrize(("seconds", "status", "said"), [(0.0, 0, ""), (60.0, 143, "stopped while photos")])
def test_a_computation_that_takes_too_long_is_left_undone_with_its_process(seconds, status, said):
    program = f"""
import time
from concurrent.futures import ThreadPoolExecutor
from classify.serving import processes
from featurize.terminal import messages_on_stderr
processes.COMPUTE_SECONDS = 0.5
executor = ThreadPoolExecutor(1)
executor.submit(time.sleep, {seconds})
with messages_on_stderr(20):
    processes._end_of(executor)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == status and said in done.stderr
