"""How fast a network runs on this machine, by engine and precision: measured once, and remembered."""

import importlib.metadata
import json
import math
import os
import platform
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from featurize.errors import BottleheadError, UsageError, installing
from featurize.extractors.base import golden_image
from featurize.networks.int8 import INSTALL
from featurize.networks.network_extractor import ENGINES, FrozenExtractor
from featurize.outputs import whole_file
from featurize.photos.photo import Photo
from featurize.store.store import cache_folder
from featurize.terminal import log

SECONDS = 1.5  # of running, for one measurement
AT_ONCE = 8  # photos in a call
WORTH_A_WORD = 1.3  # times as fast
WORTH_SECONDS = 5.0  # spared: of less nobody wants to read after every run
MANY = 100  # photos, from which on a word about speed is worth it
# Photos a second by engine and precision, as multiples of TensorFlow in float32: Inception at mixed8 on tensors in
# memory (AMD Zen 3, 2 cores). They serve where nothing was measured.
TYPICAL = {
    ("tensorflow", "float32"): 1.0,
    ("tensorflow", "bfloat16"): 1.8,
    ("openvino", "float32"): 1.4,
    ("openvino", "bfloat16"): 2.0,
    ("openvino", "int8"): 2.8,
    ("onnxruntime", "float32"): 1.4,
}
Way = tuple[str, str]  # engine and precision


def measured(extractor: FrozenExtractor) -> dict[Way, float]:
    """Photos a second that this network was seen to make here, by engine and precision."""
    found = {}
    for key, rate in _remembered().items():
        *rest, engine, precision, version = key.split("|")
        if rest == _network(extractor) and version == _version(engine):
            found[engine, precision] = float(rate)
    return found


def rates_of(family: str) -> dict[str, dict[Way, float]]:
    """Photos a second that were measured here of a network by its name: by layer, then by engine and precision."""
    found: dict[str, dict[Way, float]] = {}
    for key, rate in _remembered().items():
        node, jobs, name, end, _, engine, precision, version = key.split("|")
        if [node, jobs, name] == [*_machine(), family] and version == _version(engine):
            found.setdefault(end, {})[engine, precision] = float(rate)
    return found


def measure(extractor: FrozenExtractor, store: Any) -> float:
    """Photos a second of tensors in memory, all processors; a minute of preparation where int8 has to be made."""
    extractor.attach(store)
    photo = extractor.prepare(Photo.from_array(golden_image()))
    pixels = extractor.stack([photo] * AT_ONCE)
    extractor.run_together([extractor], pixels)  # loads it
    done, begun = 0, time.perf_counter()
    while (seconds := time.perf_counter() - begun) < SECONDS or not done:
        extractor.run_together([extractor], pixels)
        done += AT_ONCE
    rate = done / max(seconds, 1e-9)
    _remember(extractor, rate)
    return rate


def choose(extractor: FrozenExtractor, store: Any, engine: str, precision: str) -> Way:
    """The fastest way of those that are installed and asked for (``"auto"``, ``"fastest"``), and a line about it."""
    here = measured(extractor)
    rates: dict[Way, float] = {}
    for way in ways(extractor):
        if engine not in ("auto", way[0]) or precision not in ("fastest", way[1]) or missing(way):
            continue
        if way not in here:
            log.info("measuring %s with %s in %s, once on this machine", extractor.name, *way)
            try:
                here[way] = measure(_other(extractor, way), store)
            except BottleheadError as error:
                log.info("%s in %s is left out: %s", *way, error)
                continue
        rates[way] = here[way]
    if not rates:
        raise UsageError(
            f"no engine that is installed runs {extractor.name} as asked for ({engine}, {precision})",
            f"{installing('openvino')}, or name another engine or precision",
        )
    best = max(rates, key=lambda way: rates[way])
    told = ", ".join(f"{one} {kind} {rate:.1f}" for (one, kind), rate in rates.items())
    log.info("%s is run by %s in %s (photos a second as measured here: %s)", extractor.name, *best, told)
    return best


def with_fastest(extractor: Any, store: Any, engine: str, precision: str) -> Any:
    """The extractor, run in the way that `choose` finds; another than a network as it is."""
    if not isinstance(extractor, FrozenExtractor):
        return extractor
    return _other(extractor, choose(extractor, store, engine, precision))


def faster(extractor: Any, seconds: float = math.inf) -> str | None:
    """One line where another way would be at least 1.3 times as fast as the one that is used; None where none is.

    None too where it would not have spared some of the `seconds` that this way took.
    """
    if not isinstance(extractor, FrozenExtractor):
        return None
    own, here = (extractor.engine, extractor.precision), measured(extractor)
    rates = {way: here.get(way) for way in ways(extractor)}
    known = own in here and any(rate for way, rate in here.items() if way != own)
    if known:
        ratios = {way: rate / here[own] for way, rate in rates.items() if rate}
    else:
        ratios = {way: TYPICAL[way] / TYPICAL[own] for way in rates}
    best = max(ratios, key=lambda way: (ratios[way], way == own))
    if best == own or ratios[best] < WORTH_A_WORD or seconds * (1 - 1 / ratios[best]) < WORTH_SECONDS:
        return None
    said = f"{best[0]} in {best[1]} would be {'' if known else 'about '}{ratios[best]:.1f} times as fast"
    install, options = missing(best), f"--engine {best[0]} --precision {best[1]}"
    return (
        f"{extractor.name}: {said}, as measured {'here' if known else 'elsewhere'}, with other vectors "
        f"({f'{install}, then ' if install else ''}{options})"
    )


def ways(extractor: FrozenExtractor) -> Iterator[Way]:
    """Engine and precision of each way to run it on this processor, whether it is installed or not."""
    from featurize.networks.tensorflow_engine import has_bfloat16

    for engine in extractor.engines:
        for precision in ENGINES[engine].precisions:
            if precision != "bfloat16" or has_bfloat16():
                yield engine, precision


def missing(way: Way) -> str | None:
    """What has to be installed for a way; None for nothing."""
    engine, precision = way
    if precision == "int8" and find_spec("nncf") is None:
        return INSTALL
    return None if find_spec(engine) else installing(ENGINES[engine].extra)


def _other(extractor: FrozenExtractor, way: Way) -> Any:
    changed = {**extractor.get_params(deep=False), "engine": way[0], "precision": way[1]}
    other = type(extractor)(**changed)
    other.known_as, other.decode_version = extractor.known_as, extractor.decode_version
    return other


# -- what is remembered ---


def _network(extractor: FrozenExtractor) -> list[str]:
    return [*_machine(), extractor.family, extractor.end, str(extractor.side)]


def _machine() -> list[str]:
    return [platform.node(), str(os.cpu_count())]


def _version(engine: str) -> str:
    try:
        return importlib.metadata.version(engine)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _place() -> Any:
    return cache_folder().expanduser() / "speeds.json"


def _remembered() -> dict[str, float]:
    try:
        found = json.loads(_place().read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError):
        return {}
    return {
        key: rate
        for key, rate in (found.items() if isinstance(found, dict) else ())
        if key.count("|") == 7 and isinstance(rate, int | float) and np.isfinite(rate) and rate > 0
    }


def _remember(extractor: FrozenExtractor, rate: float) -> None:
    engine = extractor.engine
    key = "|".join([*_network(extractor), engine, extractor.precision, _version(engine)])
    try:
        place = _place()
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(place) as partial:
            partial.write_text(json.dumps({**_remembered(), key: round(rate, 2)}, indent=1), encoding="utf-8")
    except (OSError, RuntimeError) as error:
        log.debug("the speed was not remembered: %s", error)
