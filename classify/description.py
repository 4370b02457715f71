"""``model.json``: does it hold what a model needs, each of the right kind? An edited one is an error, not a crash."""

from collections.abc import Callable, Mapping
from typing import Any

KINDS: Mapping[str, Any] = {
    "labels": list,
    "features": str,
    "widths": list,
    "described": dict,
    "training": dict,
    "definitions": dict,
    "seen": str,
    "relabel": dict | None,
    "outliers": dict | None,
    "operating_point": dict | None,
}
# What of the training summary and of the description of features is shown or compared.
TRAINING: Mapping[str, Any] = {
    "head": str | None,
    "photos_per_label": dict | None,
    "rows": int | None,
    "photos": int | None,
    "versions": dict | None,
    "trust": list | None,
    "tuning": dict | None,
    "steps": dict | None,
    "scores": dict | None,
}
DESCRIBED: Mapping[str, Any] = {
    "family": str | None,
    "fingerprint": str | None,
    "description": dict | None,
    "weights": dict | None,
    "versions": dict | None,
    "golden": list | None,
}
# What features that are computed from photos need beside; of a family "imported" there is only a table.
COMPUTED: Mapping[str, Any] = {"spec": str, "params": dict, "description": dict}
TUNING: Mapping[str, Any] = {"by": str, "n_folds": int, "head": str, "trail": list}
SCORES: Mapping[str, Any] = {"accuracy": float | int, "log_loss": float | int}
COURSE: Mapping[str, Any] = {
    "accuracy": float | int,
    "cross_entropy": float | int,
    "best_step": int,
    "steps": int,
}


def unusable_keys(description: Mapping[str, Any]) -> list[str]:
    """The keys of a model's description whose values are missing or of a wrong kind, in order; none when all is well.

    >>> unusable_keys({"labels": ["fern", 1], "features": "x", "widths": [4], "described": {}, "training": {},
    ...                "definitions": {}, "seen": ""})
    ['labels']
    """
    wrong = _of_wrong_kind(description, KINDS)
    return wrong or [key for key, holds in VALUES.items() if not holds(description)]


def _of_wrong_kind(found: Mapping[str, Any], kinds: Mapping[str, Any]) -> list[str]:
    # bool is an int to Python, and nowhere here.
    return [
        key
        for key, kind in kinds.items()
        if not isinstance(found.get(key), kind) or isinstance(found.get(key), bool)
    ]


def _texts(values: Any) -> bool:
    return all(isinstance(one, str) for one in values)


def _widths(description: Mapping[str, Any]) -> bool:
    widths = description["widths"]
    positive = bool(widths) and all(type(one) is int and one > 0 for one in widths)
    return positive and (len(widths) == 1 or len(widths) == len(description["features"].split("+")))


def _described(description: Mapping[str, Any]) -> bool:
    return all(isinstance(one, dict) and _entry(one) for one in description["described"].values())


def _entry(entry: Mapping[str, Any]) -> bool:
    return (
        not _of_wrong_kind(entry, DESCRIBED)
        and all(type(one) is float for one in entry.get("golden") or [])
        and (entry.get("family") in (None, "imported") or not _of_wrong_kind(entry, COMPUTED))
    )


def _training(description: Mapping[str, Any]) -> bool:
    training = description["training"]
    if _of_wrong_kind(training, TRAINING):
        return False
    counts = (training.get("photos_per_label") or {}).values()
    course, scores = training.get("steps") or {}, training.get("scores") or {}
    return (
        all(one is None or type(one) is int for one in counts)
        and _texts(training.get("trust") or [])
        and (training.get("tuning") is None or _tuning(training["tuning"]))
        # A copy that was saved on the way knows its step, and no accuracy.
        and ("accuracy" not in course or not _of_wrong_kind(course, COURSE))
        and (not scores or not _of_wrong_kind(scores, SCORES))
    )


def _tuning(tuning: Mapping[str, Any]) -> bool:
    return not _of_wrong_kind(tuning, TUNING) and all(_candidate(one) for one in tuning["trail"])


def _candidate(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("params"), dict):
        return False
    if "log_loss" in one:
        return not _of_wrong_kind(one, SCORES)
    return isinstance(one.get("error"), str)


VALUES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "labels": lambda found: bool(found["labels"]) and _texts(found["labels"]),
    "widths": _widths,
    "described": _described,
    "training": _training,
    "relabel": lambda found: _texts((found.get("relabel") or {}).values()),
}
