"""A result in a notebook: one line, a table in HTML, and DataFrames to go on with."""

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from evaluate.report.data_sentences import duplicates_in_words
from evaluate.report.difference_sentences import differences_in_words
from evaluate.report.score_sentences import best_in_words, curve_in_words
from evaluate.report.words import count, interval_in_words, percent
from evaluate.results import ComparisonRecord, CurveRecord, DuplicatesRecord, Result, TestRecord
from evaluate.statistics.differences import PairComparison

if TYPE_CHECKING:
    import pandas as pd

SCORES = (
    "balanced_accuracy",
    "macro_f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "calibration_error",
)
COSTS = ("fit_seconds", "predict_seconds_per_image", "model_bytes")
ROWS = 20  # of a table in a notebook


class Differences(list[PairComparison]):
    """The comparisons of pairs: a list that is also a table."""

    def to_frame(self) -> "pd.DataFrame":
        """One row per comparison; shares are from 0 to 1, and `words` says it in a sentence."""
        import pandas as pd

        names = ["difference", "low", "high", "p_value", "p_holm", "verdict", "words"]
        columns = ["compares", "features", "head", "other_features", "other_head"]
        rows = [
            [one.compares, one.one.features, one.one.head, one.other.features, one.other.head]
            + [getattr(one, name) for name in names[:5]]
            + [one.probability.better, one.probability.same, one.probability.worse]
            + [one.verdict, one.words]
            for one in self
        ]
        chances = [f"probability_{name}" for name in ("better", "same", "worse")]
        return pd.DataFrame(rows, columns=[*columns, *names[:5], *chances, *names[5:]])

    def __repr__(self) -> str:
        verdicts = Counter(one.verdict for one in self)
        said = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
        return f"Differences: {count(len(self), 'comparison')}; {said or 'none'}"

    def _repr_html_(self) -> str:
        return _list_of(differences_in_words(self))


def frame_of(found: Result) -> "pd.DataFrame":
    """The table of a result: a row per pair, label, size or pair of photos; shares are from 0 to 1."""
    import pandas as pd

    if isinstance(found, ComparisonRecord):
        rows = [
            {
                "features": row.features,
                "head": row.head,
                "accuracy": row.accuracy.mean,
                "accuracy_low": row.accuracy.low,
                "accuracy_high": row.accuracy.high,
                **{name: getattr(row, name) for name in (*SCORES, *COSTS)},
            }
            for row in found.results
        ]
        return pd.DataFrame(rows)
    if isinstance(found, TestRecord):
        return pd.DataFrame([{"label": label, **one} for label, one in found.scores.per_label.items()])
    if isinstance(found, CurveRecord):
        sizes = ["images_per_label", "n_training", "accuracy", "accuracy_low", "accuracy_high"]
        points = [
            (one.images_per_label, one.n_training, one.accuracy.mean, one.accuracy.low, one.accuracy.high)
            for one in found.points
        ]
        return pd.DataFrame(points, columns=sizes)
    names = "image", "label", "other", "other_label", "similarity", "identical", "conflict"
    return pd.DataFrame([{name: pair[name] for name in names} for pair in found.pairs], columns=list(names))


def in_one_line(found: Result) -> str:
    """What a prompt shows of a result."""
    name, photos = type(found).__name__, count(found.data.images, "photo", ",")
    if isinstance(found, ComparisonRecord):
        best = found.results[0]
        pairs = count(len(found.results), "pair")
        return f"{name}: {pairs} on {photos}; best {best.name}, {interval_in_words(best.accuracy)}"
    if isinstance(found, TestRecord):
        accuracy = interval_in_words(found.scores.accuracy_interval)
        return f"{name}: {found.model.head} on {found.model.features}, {accuracy} of {photos}"
    if isinstance(found, CurveRecord):
        last = found.points[-1]
        at_most = f"{interval_in_words(last.accuracy)} with {last.images_per_label} per label"
        return f"{name}: {count(len(found.points), 'size')}; {found.model.head} on {found.model.features}, {at_most}"
    return f"{name}: {count(len(found.pairs), 'pair')} among {photos}"


def as_html(found: Result) -> str:
    """What a notebook shows of a result: the line, its table, and what the command says besides."""
    frame = frame_of(found).head(ROWS)
    said: list[str] = []
    if isinstance(found, ComparisonRecord):
        said = [*differences_in_words(found.comparisons), *best_in_words(found)]
        frame = frame[["features", "head"]].assign(
            **{
                "accuracy (95 % interval)": [interval_in_words(row.accuracy) for row in found.results[:ROWS]],
                "macro F1 %": [percent(row.macro_f1) for row in found.results[:ROWS]],
                "log loss": [f"{row.log_loss:.3f}" for row in found.results[:ROWS]],
            }
        )
    elif isinstance(found, CurveRecord):
        said = curve_in_words(found)
    elif isinstance(found, DuplicatesRecord):
        said = duplicates_in_words(found)
    said += [f"warning: {warning}" for warning in getattr(found, "warnings", [])]
    table: Any = frame.to_html(index=False, na_rep="", float_format="{:.3f}".format)
    return f"<p>{escape(in_one_line(found))}</p>{table}{_list_of(said)}"


def _list_of(sentences: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in sentences) + "</ul>" if sentences else ""
