"""Predictions as text for people, and as CSV and JSON lines for programs."""

import csv
import io
import json
from collections.abc import Iterator

from classify.predict import Predictions

DIGITS = 6


def as_text(predictions: Predictions, top: int | None = None) -> str:
    """For one image ``label probability`` lines, best first; for several, one line per image.

    Parameters
    ----------
    predictions : Predictions
    top : int, optional
        How many labels to name, 0 for all; by default all for one image, and the best for several.
    """
    if len(predictions) == 1:
        return "".join(f"{label} {p:.4f}\n" for label, p in predictions.best(0, top or 0))
    lines = []
    for row, image in enumerate(predictions.image):
        best = predictions.best(row, 1 if top is None else top)
        lines.append(f"{_printable(image)}: {', '.join(f'{label} {p:.4f}' for label, p in best)}\n")
    return "".join(lines)


def as_csv(predictions: Predictions, top: int | None = None) -> str:
    """CSV with the header ``image,label,confidence,outlier``.

    With `top` 0 one column per label follows, holding its probability; with `top` 2 or more the columns
    ``label_2,confidence_2`` and so on. ``outlier`` is ``yes``, ``no``, or empty where the model cannot say.
    """
    top = 1 if top is None else top
    header = ["image", "label", "confidence", "outlier"]
    if top == 0:
        header += predictions.labels
    last = min(top, len(predictions.labels))
    header += [name for rank in range(2, last + 1) for name in (f"label_{rank}", f"confidence_{rank}")]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for row, image in enumerate(predictions.image):
        best = predictions.best(row, max(top, 1))
        flag = {None: "", True: "yes", False: "no"}[predictions.outlier[row]]
        line: list = [image, best[0][0], round(best[0][1], DIGITS), flag]
        if top == 0:
            line += [round(float(p), DIGITS) for p in predictions.probabilities[row]]
        line += [value for label, p in best[1:] for value in (label, round(p, DIGITS))]
        writer.writerow(line)
    return stream.getvalue()


def as_jsonl(predictions: Predictions, top: int | None = None) -> str:
    """One JSON object per image: ``image, label, confidence, outlier`` and ``probabilities`` by label.

    ``probabilities`` names the `top` best labels, best first: one by default, all with 0.
    """
    return "".join(f"{line}\n" for line in _json_lines(predictions, 1 if top is None else top))


def _json_lines(predictions: Predictions, top: int) -> Iterator[str]:
    for row, image in enumerate(predictions.image):
        best = [(label, round(p, DIGITS)) for label, p in predictions.best(row, top)]
        yield json.dumps(
            {
                "image": image,
                "label": best[0][0],
                "confidence": best[0][1],
                "outlier": predictions.outlier[row],
                "probabilities": dict(best),
            },
            ensure_ascii=False,
        )


def _printable(name: str) -> str:
    """A file name that cannot move the cursor or break the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
