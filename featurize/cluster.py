"""Dask's workers extract the parts of a source: progress from them, and a look at each before the work starts."""

import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from featurize.commands import OptionsError
from featurize.errors import BottleheadError, UsageError, installing
from featurize.extraction.parts import Part, PartRows, extract_part
from featurize.extractors.base import Extractor, attach_checked
from featurize.photos.layout import listed
from featurize.store.store import Store
from featurize.terminal import log, progress

EXAMPLES = "give dask://HOST:PORT of a scheduler, or dask://local?workers=2"
INSTALL = installing("dask")
CONNECT_SECONDS = 15.0
TOPIC = "bottlehead"
TELL_SECONDS = 1.0  # between two messages of a worker
# Parts that are with the scheduler beyond those that workers compute: it holds a few of them, and never all.
AHEAD = 2


@contextmanager
def connect(address: str) -> Iterator["Cluster"]:
    """The workers of a Dask scheduler, or some that are started here and end with the block.

    OptionsError if the address is none, UsageError if Dask is not installed or the scheduler is not reached.
    """
    options = _options_of(address)
    try:
        import distributed
    except ImportError as error:
        raise UsageError(f"--cluster {address} needs Dask, which is not installed", INSTALL) from error
    with ExitStack() as stack:
        _quiet_dask()
        place = address.replace("dask://", "tcp://", 1)
        if options is not None:
            n_workers, n_threads = options
            local = {"n_workers": n_workers, "threads_per_worker": n_threads, "dashboard_address": ":0"}
            place = stack.enter_context(
                distributed.LocalCluster(**local, processes=True, silence_logs=logging.CRITICAL)
            )
        try:
            client = distributed.Client(place, timeout=CONNECT_SECONDS)
            stack.callback(client.close, timeout=1)
        except (OSError, ValueError) as error:
            hint = "start one with `dask scheduler`, and workers with `dask worker HOST:PORT`; " + EXAMPLES
            raise UsageError(
                f"there is no Dask scheduler at {address}: {_first_line(error)}", hint
            ) from error
        yield Cluster(client, address)


def _options_of(address: str) -> tuple[int, int] | None:
    """Workers and threads of each, of a cluster to be started here; None for one that is there."""
    split = urlsplit(address)
    if split.scheme != "dask":
        raise OptionsError(f"--cluster {address} is no Dask cluster", EXAMPLES)
    if split.hostname == "local":
        given = dict(parse_qsl(split.query, keep_blank_values=True))
        numbers = {
            name: _number(address, name, given.pop(name)) for name in ("workers", "threads") if name in given
        }
        if given or split.path.strip("/"):
            raise OptionsError(
                f"--cluster {address} is not understood", "give dask://local?workers=2&threads=1"
            )
        n_cores = os.cpu_count() or 1
        n_workers = numbers.get("workers", n_cores)
        return n_workers, numbers.get("threads", max(1, n_cores // n_workers))
    if not re.fullmatch(r"dask://[^/?#@]+:\d{1,5}/?", address):
        raise OptionsError(f"--cluster {address} names no host and port", EXAMPLES)
    return None


def _number(address: str, name: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise OptionsError(f"--cluster {address}: {name}={text}", f"give {name} from 1 to 1024")
    return int(text)


def _quiet_dask() -> None:
    """Its log of workers that come and go is its own; what matters to a user is said by us."""
    for name in list(logging.Logger.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class Cluster:
    """The workers of one scheduler."""

    def __init__(self, client: Any, address: str):
        self.client, self.address = client, address

    def check(self, extractors: Sequence[Extractor], store: Store) -> None:
        """Name, before the work starts, workers that would compute something else: UsageError.

        Such are those without bottlehead, with other versions of what makes vectors, or without the weights; and those
        that do not reach the store.
        """
        for extractor in extractors:
            attach_checked(extractor, store)
        with self._lost():
            self.client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            wanted = _facts(extractors, store)
            found = self.client.run(_facts, list(extractors), store, on_error="return")
        faults = [f"{worker}: {fault}" for worker, facts in found.items() if (fault := _fault(facts, wanted))]
        if faults:
            hint = "install the same versions and the same weights there, and give a store that all of them reach"
            what = f"{len(faults)} of {len(found)} workers cannot do this work; {'; '.join(faults[:5])}"
            raise UsageError(what, hint)
        threads = sum(self.client.nthreads().values())
        log.info("%s: %d workers, %d threads", self.address, len(found), threads)

    def extract_parts(
        self,
        parts: Sequence[Part],
        extractors: Sequence[Extractor],
        *,
        keep: Any,
        store: Store,
        **options: Any,
    ) -> Iterator[PartRows]:
        """Extract parts, each on a worker; `keep`, by which each is kept, runs there."""
        from distributed import as_completed

        options = {name: value for name, value in options.items() if name != "jobs"}
        wanted, name = _facts(extractors, store), uuid.uuid4().hex[:12]
        waiting, n_photos = iter(parts), {part.number: len(part) for part in parts}
        with self._lost(), progress(sum(n_photos.values()), "featurizing") as bar:
            done = _Done(bar.update)
            self.client.subscribe_topic(f"{TOPIC}-{name}", done.told)
            try:
                common = self.client.scatter(
                    (list(extractors), store, keep, wanted, options), broadcast=False
                )
                futures = as_completed(loop=self.client.loop)

                def send() -> None:
                    n_workers = len(self.client.nthreads())  # others may have joined
                    while futures.count() < AHEAD * max(1, n_workers) and (part := next(waiting, None)):
                        key = f"bottlehead-{name}-{part.number}"
                        sent = self.client.submit(
                            _extract_there, common, part, f"{TOPIC}-{name}", key=key, retries=2, pure=False
                        )
                        futures.add(sent)

                send()
                for future in futures:
                    result = future.result()
                    done.finished(result.number, n_photos[result.number])
                    future.release()
                    send()
                    yield result
            finally:
                if self.client.status == "running":
                    self.client.unsubscribe_topic(f"{TOPIC}-{name}")

    @contextmanager
    def _lost(self) -> Iterator[None]:
        """What befalls a cluster, as an error that says what to do."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        again = "run the same command again: parts that are done are not computed again"
        try:
            yield
        except BottleheadError:
            raise
        except KilledWorker as error:
            what = f"a part ended {error.allowed_failures + 1} workers of {self.address} one after the other"
            raise UsageError(what, f"give them more memory, or fewer at once; {again}") from error
        except (CancelledError, CommClosedError, OSError, TimeoutError) as error:
            none = isinstance(error, TimeoutError) and not isinstance(error, CommClosedError)
            what = f"no worker answers at {self.address}" if none else f"the scheduler {self.address} is gone"
            raise UsageError(what, again) from error


class _Done:
    """How far the workers are: of each part, by what they tell while they do it."""

    def __init__(self, update: Callable[[int], object]):
        self.update = update
        self._done: dict[int, int] = {}

    def told(self, event: tuple[Any, dict[str, int]]) -> None:
        """A worker has done more of a part; one that begins it again does not count twice."""
        message = event[1]
        self._set(message["part"], message["done"])

    def finished(self, number: int, n_photos: int) -> None:
        self._set(number, n_photos)

    def _set(self, number: int, n_done: int) -> None:
        if n_done > (before := self._done.get(number, 0)):
            self._done[number] = n_done
            self.update(n_done - before)


# -- What runs on the workers ---


def _facts(extractors: Sequence[Extractor], store: Store) -> dict[str, Any]:
    """What has to be equal on all machines: versions, and the fingerprints, which the weights are in."""
    libraries = {name for extractor in extractors for name in extractor.libraries()}
    versions = {}
    for name in sorted({"bottlehead", *libraries}):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "none"
    fingerprints: dict[str, str] = {}
    fault = ""
    try:
        store.folder.folders()
        for extractor in extractors:
            attach_checked(extractor, store)
            fingerprints[extractor.name] = extractor.fingerprint()
    except BottleheadError as error:
        fault = error.args[0]
    return {"versions": versions, "fingerprints": fingerprints, "fault": fault}


def _fault(facts: Any, wanted: dict[str, Any]) -> str:
    """What is wrong with a worker, if anything; one that died meanwhile is none any more."""
    if isinstance(facts, OSError):
        return ""
    if isinstance(facts, BaseException):
        return f"bottlehead does not run there: {_first_line(facts)}"
    others = {n: v for n, v in facts["versions"].items() if v != wanted["versions"][n]}
    if others:
        return ", ".join(f"it has {n} {v} instead of {wanted['versions'][n]}" for n, v in others.items())
    if facts["fault"]:
        return facts["fault"]
    other = [name for name, one in wanted["fingerprints"].items() if facts["fingerprints"].get(name) != one]
    return f"its weights or settings of {listed(other)} are others" if other else ""


_checked: set[str] = set()


def _extract_there(common: tuple, part: Part, topic: str) -> PartRows:
    """Do a part on a worker, with its threads; a worker that joined late is looked at first."""
    from distributed import get_worker
    from threadpoolctl import threadpool_limits

    extractors, store, keep, wanted, options = common
    worker = get_worker()
    n_threads = worker.state.nthreads
    # Read when TensorFlow is loaded; one part at a time runs in a process, whatever its threads.
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(n_threads))
    if topic not in _checked:
        if fault := _fault(_facts(extractors, store), wanted):
            raise UsageError(
                f"the worker {worker.address} cannot do this work: {fault}", "end it, and run again"
            )
        _checked.add(topic)
    n_done, told = 0, time.monotonic()

    def advance(n: int) -> None:
        nonlocal n_done, told
        n_done += n
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            worker.log_event(topic, {"part": part.number, "done": n_done})

    with threadpool_limits(n_threads):
        result = extract_part(part, extractors, store=store, jobs=n_threads, advance=advance, **options)
    keep(result)
    return result
