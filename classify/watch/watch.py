"""Whether what comes in has changed: outliers, distances, confidence, answers, against training and days before.

A day is one run. Each is tested so that of 100 quiet months of 30 days at most one holds a false alarm: the chance of
one month is divided by its days, by the kinds of tests, and by the labels (Bonferroni).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
import numpy as np
from scipy.special import betaln, gammaln, logsumexp, stdtr

from classify.model.model import Model
from classify.model.outliers import FALSE_ALARMS, MOST_HELD_OUT
from classify.prediction.predictions import predict_table
from classify.shares import wilson
from featurize.errors import UsageError
from featurize.files import is_readable
from featurize.remote import Location, path_at
from featurize.table import FeatureTable
from featurize.terminal import aligned, printable

FORMAT_VERSION = 1
DAYS, MONTHS = 30, 100  # one false alarm in so many months of so many days
KINDS = 5  # outliers by the training; outliers, distances, low confidence and answers by earlier days
LEAST_PHOTOS = 20
WINDOWS = (
    1,
    3,
)  # days that are compared together with those before: the latter finds what is small and stays
LEAST_DAYS = 5  # earlier days; of fewer nobody knows how much days differ
WITHOUT_DISTANCE = 1e-12
Z = 1.959964  # standard errors to either end of a 95 % interval


class Day(msgspec.Struct, forbid_unknown_fields=False):
    """What a model said of the photos of one day."""

    date: str
    photos: int
    groups: int
    outliers: int | None
    low_confidence: int
    confidence: float
    answers: dict[str, int]
    log_distance: float | None = None  # the mean
    log_distance_variance: float | None = None
    changed: bool = False
    accepted: bool = False

    @property
    def counts(self) -> bool:
        """Whether later days are compared with it."""
        return self.photos >= LEAST_PHOTOS and (self.accepted or not self.changed)


@dataclass(frozen=True)
class Share:
    """How many of the photos, with a 95 % interval, and what is expected: None where nobody knows."""

    number: int
    share: float
    low: float
    high: float
    expected: float | None = None


@dataclass(frozen=True)
class Watched:
    """What `watch_photos` found; print it, or write it with `to_dict`.

    `reasons` say what has changed, the strongest first; `usual` are the earlier days that today was compared with.
    """

    today: Day
    days: list[Day]
    usual: int
    outliers: Share | None
    low_confidence: Share
    low_below: float
    answers: dict[str, Share]
    promised_accuracy: float | None
    drift: str | None
    reasons: list[str]
    model: str
    by_training: bool = field(default=True)

    @property
    def changed(self) -> bool:
        """Whether something has changed."""
        return self.today.changed

    @property
    def verdict(self) -> str:
        """In one sentence."""
        n = self.today.photos
        photos = f"{n} photo{'s' * (n != 1)}"
        if n < LEAST_PHOTOS:
            return f"Not judged: {photos}, and {LEAST_PHOTOS} are needed."
        if self.reasons:
            return f"Changed: of {photos}, {'; '.join(self.reasons)}."
        like = ["those of the training"] * self.by_training
        like += [f"those of {self.usual} earlier days"] * (self.usual >= LEAST_DAYS)
        return f"Unchanged: {photos} are like {' and '.join(like)}."

    def __str__(self) -> str:
        told: dict[str, str] = {}
        if self.outliers is not None:
            told["outliers"] = f"{_in_words(self.outliers)}, in training {100 * FALSE_ALARMS:.0f} %"
        low = f"{_in_words(self.low_confidence)} below {self.low_below:.2f}"
        told["low confidence"] = low + _usual(self.low_confidence)
        promised = self.promised_accuracy
        told["confidence"] = f"{self.today.confidence:.3f} on average"
        told["confidence"] += "" if promised is None else f"; accuracy in training {promised:.3f}"
        for name, share in self.answers.items():
            told[f"answer {printable(name)}"] = _in_words(share) + _usual(share)
        rows = aligned([[name, words] for name, words in told.items()])
        return "\n".join([printable(self.verdict), *rows, *([self.drift] if self.drift else [])])

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; as a file it is what later days take as ``since``."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": "watch",
            "model": self.model,
            "changed": self.changed,
            "verdict": self.verdict,
            "reasons": self.reasons,
            "outliers": None if self.outliers is None else asdict(self.outliers),
            "low_confidence": asdict(self.low_confidence) | {"below": self.low_below},
            "answers": {name: asdict(share) for name, share in self.answers.items()},
            "promised_accuracy": self.promised_accuracy,
            "drift": self.drift,
            "usual_days": self.usual,
            "days": [msgspec.to_builtins(day) for day in (*self.days, self.today)],
        }


def _in_words(share: Share) -> str:
    return f"{100 * share.share:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _usual(share: Share) -> str:
    return "" if share.expected is None else f", usual {100 * share.expected:.1f} %"


def watch_photos(
    model: Model,
    tables: FeatureTable | Iterable[FeatureTable],
    since: Sequence[Day] = (),
    *,
    date: str = "",
    accept: bool = False,
) -> Watched:
    """Compare the photos of a day with the training and with earlier days.

    Parameters
    ----------
    model : Model
    tables : FeatureTable, or several
        The photos of the day.
    since : sequence of Day, optional
        Earlier days, as `read_days` reads them. A day of the same `date` is replaced. Days that had changed are no
        measure for later ones.
    date : str
        What the day is called, as ``2026-03-20``.
    accept : bool
        Take all days, and this one, for usual: from now on only later change counts.

    Returns
    -------
    Watched
        Its ``changed`` is wrong in at most one of 100 months of 30 days that are alike.

    Notes
    -----
    Against the training: the number of outliers, where the chance of each is not quite 5 %, for it comes from as many
    held-out photos as the model knows (beta-binomial), and the drift line. Against 5 or more earlier days: outliers,
    low confidence and answers as shares, stabilised by the arcsine [1]_, and the mean logarithm of the distance; each
    by Student's t of a further day, whose variance is that between days, and at least that of independent photos. So
    are the last three days together, which finds what is small and stays.

    .. [1] F. J. Anscombe, "The transformation of Poisson, binomial and negative-binomial data", Biometrika 35 (1948),
       https://doi.org/10.1093/biomet/35.3-4.246
    """
    today, distances = _day_of(model, tables, date)
    days = [day for day in since if day.date != date or not date]
    if accept:
        for day in (*days, today):
            day.accepted = True
    usual = [day for day in days if day.counts]
    drift = model.outliers.describe_drift(distances) if model.outliers is not None else None
    by_training = not any(day.accepted for day in (*days, today))
    reasons = []
    if today.photos >= LEAST_PHOTOS:
        reasons = judge_day(today, usual, _held_out(model) if by_training else 0)
        if drift and by_training:
            reasons.append("half are farther from the training photos than nine in ten of those are")
    today.changed = bool(reasons)
    return Watched(
        today=today,
        days=days,
        usual=len(usual),
        outliers=None if today.outliers is None else _share(today.outliers, today, FALSE_ALARMS),
        low_confidence=_share(
            today.low_confidence, today, _mean([d.low_confidence / d.photos for d in usual])
        ),
        low_below=low_confidence(len(model.labels)),
        answers={
            name: _share(number, today, _mean([day.answers.get(name, 0) / day.photos for day in usual]))
            for name, number in today.answers.items()
        },
        promised_accuracy=(model.training.get("scores") or {}).get("accuracy"),
        drift=drift,
        reasons=reasons,
        model=model_key(model),
        by_training=by_training,
    )


def low_confidence(n_labels: int) -> float:
    """Below which confidence is low: halfway between a guess and certainty."""
    return (1 + 1 / max(n_labels, 1)) / 2


def model_key(model: Model) -> str:
    """What tells a model from others: days of one are no measure for another."""
    told = model.training.get("data_digest") or "unknown"
    return f"{model.training.get('head')} on {model.features}, {told[:16]}"


def _held_out(model: Model) -> int:
    return 0 if model.outliers is None else min(model.outliers.photos, MOST_HELD_OUT)


def describe_day(
    date: str,
    labels: Sequence[str],
    given: Sequence[str],
    confidence: np.ndarray,
    distance: np.ndarray,
    outliers: int | None,
    groups: int,
) -> Day:
    """A day in numbers: of each photo the label that it was given, with which confidence, and its distance."""
    told: dict[str, Any] = {"outliers": outliers}
    if outliers is not None:
        logs = np.log(np.maximum(distance.astype(np.float64), WITHOUT_DISTANCE))
        variance = float(logs.var(ddof=1)) if len(logs) > 1 else 0.0
        told |= {"log_distance": float(logs.mean()), "log_distance_variance": variance}
    return Day(
        date=date,
        photos=len(given),
        groups=groups,
        low_confidence=int((confidence < low_confidence(len(labels))).sum()),
        confidence=float(confidence.mean()),
        answers=dict.fromkeys(labels, 0) | dict(Counter(given)),
        **told,
    )


def _day_of(model: Model, tables: FeatureTable | Iterable[FeatureTable], date: str) -> tuple[Day, np.ndarray]:
    parts, groups = [], 0
    for table in [tables] if isinstance(tables, FeatureTable) else tables:
        groups += len(np.unique(table.filter(table.variant == 0).groups))
        parts.append(predict_table(model, table))
    given = [label for part in parts for label in part.label]
    if not given:
        raise UsageError("there is no photo to watch", f"give the photos of a day, {LEAST_PHOTOS} or more")
    distance = np.concatenate([part.distance for part in parts])
    confidence = np.concatenate([part.confidence for part in parts])
    outliers = None if model.outliers is None else int((distance > model.outliers.threshold).sum())
    return describe_day(date, model.labels, given, confidence, distance, outliers, groups), distance


def _share(number: int, day: Day, expected: float | None) -> Share:
    """With Wilson's interval."""
    share = number / day.photos
    return Share(number, share, *wilson(share, day.photos, Z), expected)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) >= LEAST_DAYS else None


# -- The tests ---


def judge_day(today: Day, usual: Sequence[Day], held_out: int) -> list[str]:
    """What has changed, in words, the least likely first.

    `usual` are earlier days; `held_out` is how many photos the share of outliers comes from, 0 to leave it out.
    """
    alpha = 1 / (DAYS * MONTHS * KINDS)
    found = []
    if held_out and today.outliers is not None:
        chance = _chance_by_training(today, held_out)
        usual_share = f"{100 * FALSE_ALARMS:.0f} % of photos like those do"
        share = 100 * today.outliers / today.photos
        words = f"{share:.0f} % look like nothing in the training ({usual_share})"
        found.append((chance / alpha, words))
    if len(usual) >= LEAST_DAYS:
        by_window = [
            _by_days([*usual[len(usual) - n + 1 :], today], usual[: len(usual) - n + 1], alpha / len(WINDOWS))
            for n in WINDOWS
            if len(usual) - n + 1 >= LEAST_DAYS
        ]
        found += [min(same) for same in zip(*by_window, strict=True)]
    return [words for chance, words in sorted(found) if chance < 1]


def _chance_by_training(today: Day, held_out: int) -> float:
    """Of as many outliers or more, where the threshold is an order statistic of so many distances of alike photos."""
    rank = int(np.ceil((held_out + 1) * (1 - FALSE_ALARMS) - 1e-9))
    # Photos of one group are one observation.
    number = int((today.outliers or 0) * today.groups / today.photos)
    return beta_binomial_tail(number, today.groups, held_out + 1 - rank, rank)


def beta_binomial_tail(least: int, n: int, a: float, b: float) -> float:
    """The chance of `least` or more of `n`, where the chance of each follows a beta distribution of `a` and `b`.

    >>> round(beta_binomial_tail(1, 2, 1, 1), 4)
    0.6667
    """
    k = np.arange(max(least, 0), n + 1)
    choices = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return float(np.exp(logsumexp(choices + betaln(k + a, n - k + b) - betaln(a, b)))) if len(k) else 0.0


def _by_days(recent: Sequence[Day], usual: Sequence[Day], alpha: float) -> list[tuple[float, str]]:
    """Each chance as a multiple of what it may be, and what to say of it."""
    found, n_recent, last = [], len(recent), recent[-1]
    since = "" if n_recent == 1 else f" of the last {n_recent} days"
    photos, photos_before = (np.array([day.photos for day in days]) for days in (recent, usual))

    def compare(before: np.ndarray, now: np.ndarray, least: float) -> float:
        """By how many standard errors of the mean of so many further days these are above the usual."""
        variance = max(float(before.var(ddof=1)), least)
        away = float(now.mean() - before.mean())
        return away / np.sqrt(variance * (1 / n_recent + 1 / len(usual)))

    def tail(away: float) -> float:
        return float(stdtr(len(usual) - 1, -away))

    def shares(number: Callable[[Day], int]) -> tuple[float, str, str]:
        before, now = (np.array([number(day) for day in days]) for days in (usual, recent))
        least = float((1 / (4 * photos + 2)).mean())
        away = compare(_stable(before, photos_before), _stable(now, photos), least)
        own, usually = now.sum() / photos.sum(), (before / photos_before).mean()
        return away, f"{100 * own:.0f} %{since}", f"({100 * usually:.0f} % in {len(usual)} earlier days)"

    away, own, usually = shares(lambda day: day.low_confidence)
    found.append((tail(away) / alpha, f"{own} are labelled with low confidence {usually}"))
    if all(day.outliers is not None for day in (*recent, *usual)):
        away, own, usually = shares(lambda day: day.outliers or 0)
        found.append((tail(away) / alpha, f"{own} look like nothing in the training {usually}"))
        before, now = (np.array([day.log_distance or 0.0 for day in days]) for days in (usual, recent))
        alone = [(day.log_distance_variance or 0.0) / day.photos for day in recent]
        chance = tail(compare(before, now, max(float(np.mean(alone)), WITHOUT_DISTANCE)))
        times = f"{np.exp(now.mean() - before.mean()):.2f} times as far from the training"
        found.append((chance / alpha, f"photos{since} are {times} as in {len(usual)} earlier days"))
    for name in last.answers:
        away, own, usually = shares(lambda day, name=name: day.answers.get(name, 0))  # type: ignore[misc]
        chance = 2 * tail(abs(away)) * len(last.answers)
        found.append((chance / alpha, f"{own} are answered {name} {usually}"))
    return found


def _stable(number: Any, of: Any) -> Any:
    """Shares whose variance hardly depends on them: ``1 / (4 n + 2)``."""
    return np.arcsin(np.sqrt((number + 0.375) / (of + 0.75)))


# -- The file of days ---


def read_days(path: Location, model: Model) -> list[Day]:
    """The days that `Watched.to_dict` wrote, of the same model.

    UsageError where the file is something else, or of another model.
    """
    is_readable(path, UsageError)
    hint = "give what `classify watch --json FILE.json` wrote, or start a new file"
    try:
        with path_at(path).open(encoding="utf-8") as stream:
            content = json.load(stream)
        if not isinstance(content, Mapping) or content.get("kind") != "watch":
            raise ValueError("it is no file of watched days")
        days = msgspec.convert(content.get("days"), list[Day])
        if any(day.photos < 1 or min(day.answers.values(), default=0) < 0 for day in days):
            raise ValueError("its numbers make no sense")
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"the days {path} cannot be read: {error}", hint) from error
    if content.get("model") != model_key(model):
        what = f"the days {path} are of another model ({content.get('model')})"
        raise UsageError(what, f"start a new file for this model ({model_key(model)})")
    return days
