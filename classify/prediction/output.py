"""Predictions as text for people, and as CSV, JSON lines and Parquet for programs, batch by batch."""

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from classify.model.answers import Answers
from classify.prediction.neighbours import Neighbour
from classify.prediction.predictions import Predictions
from featurize.errors import UsageError
from featurize.files import csv_writer
from featurize.terminal import printable

DIGITS = 6
HEADER = ("image", "label", "confidence", "outlier")
ANSWER = ("answer", "answer_level", "answer_confidence")  # of a model whose labels form a tree


def as_text(labels: Sequence[str], batches: Iterable[Predictions], top: int | None = None) -> Iterator[str]:
    """For one image ``label probability`` lines, best first; for several, one line per image that can be read.

    `top` labels are named, all with 0; by default all for one image, and the best for several. Among several images,
    those that look like nothing in the training end in ``(outlier)``. Where the labels form a tree, the answer comes
    before the labels, and for several images stands alone unless `top` asks for labels.
    """
    batches = iter(batches)
    first: list[Predictions] = []
    n_given = 0  # an image that is left out was asked for as well: the other one needs its name
    while n_given < 2 and (batch := next(batches, None)) is not None:
        n_given += len(batch) + len(batch.rejects)
        first.append(batch)
    one = next((batch for batch in first if len(batch)), None)
    if n_given == 1 and one is not None:
        answer = "" if one.answers is None else f"{answer_as_text(one.answers, 0)}\n"
        yield answer + "".join(f"{printable(label)} {p:.4f}\n" for label, p in one.best(0, top or 0))
        return
    for batch in chain(first, batches):
        lines, answers = [], batch.answers
        for row, image in enumerate(batch.image):
            best = batch.best(row, 1 if top is None else top)
            named = ", ".join(f"{printable(label)} {p:.4f}" for label, p in best)
            if answers is not None:
                answer = answer_as_text(answers, row)
                named = answer if top is None else f"{answer}; labels: {named}"
            lines.append(f"{printable(image)}: {named}{' (outlier)' * bool(batch.outlier[row])}\n")
        yield "".join(lines)


def answer_as_text(answers: Answers, row: int) -> str:
    """``rose 0.9300; deeper: tea rose 0.4800``."""
    deeper = ", ".join(f"{printable(name)} {p:.4f}" for name, p in answers.deeper(row))
    answer = f"{printable(answers.name[row])} {answers.confidence[row]:.4f}"
    return f"{answer}; deeper: {deeper}" if deeper else answer


def as_csv(
    labels: Sequence[str],
    batches: Iterable[Predictions],
    top: int | None = None,
    excel: bool = False,
    answers: bool = False,
) -> Iterator[str]:
    """CSV with the header ``image,label,confidence,outlier``.

    With `answers`, for a model whose labels form a tree, ``answer,answer_level,answer_confidence`` follow: a level is
    how far below the top of the tree a name is.
    With `top` 0 one column per label follows, holding its probability; with `top` 2 or more the columns
    ``label_2,confidence_2`` and so on. ``outlier`` is ``yes``, ``no``, or empty where the model cannot say.
    `excel`: for a spreadsheet.
    """
    stream = io.StringIO()
    writer = csv_writer(stream, excel)
    writer.writerow(_header(labels, top, answers))
    flags = {None: "", True: "yes", False: "no"}
    for batch in batches:
        # The header comes with the first predictions: where there are none for an error, nothing is printed.
        if len(batch):
            writer.writerows([*line[:3], flags[line[3]], *line[4:]] for line in _lines(batch, top))
            yield _taken_from(stream)
    if header := stream.getvalue():
        yield header


def as_jsonl(labels: Sequence[str], batches: Iterable[Predictions], top: int | None = None) -> Iterator[str]:
    """One JSON object per image: ``image, label, confidence, outlier`` and ``probabilities`` by label.

    Where the labels form a tree, the columns of `as_csv` for its answer come before the probabilities, and ``deeper``,
    the probabilities of the names below the answer, on the way to a label.
    ``probabilities`` names the `top` best labels, best first: one by default, all with 0.
    """
    for batch in batches:
        lines, answers = [], batch.answers
        for row, image in enumerate(batch.image):
            best = [(label, round(p, DIGITS)) for label, p in batch.best(row, 1 if top is None else top)]
            about: dict[str, Any] = dict(zip(HEADER, (image, *best[0], batch.outlier[row]), strict=True))
            if answers is not None:
                about |= dict(zip(ANSWER, _answer(answers, row), strict=True))
                about["deeper"] = {name: round(p, DIGITS) for name, p in answers.deeper(row)}
            lines.append(_json({**about, "probabilities": dict(best)}) + "\n")
        yield "".join(lines)


def write_parquet(
    path: str | os.PathLike,
    labels: Sequence[str],
    batches: Iterable[Predictions],
    top: int | None = None,
    answers: bool = False,
) -> None:
    """A Parquet file with the columns of `as_csv`; ``outlier`` is true, false or null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    header = _header(labels, top, answers)
    types = {"outlier": pa.bool_(), **{name: pa.string() for name in ("image", "label")}}
    types |= {"answer": pa.string(), "answer_level": pa.int64()} if answers else {}
    numbered = {name: pa.string() for name in header if top != 0 and name.startswith("label_")}
    schema = pa.schema([(name, (types | numbered).get(name, pa.float64())) for name in header])
    with open(path, "wb") as stream, pq.ParquetWriter(stream, schema) as writer:
        for batch in batches:
            columns = list(zip(*_lines(batch, top), strict=True)) or [()] * len(header)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.table(arrays, schema=schema))


def neighbours_as(form: str, found: Iterable[Neighbour], excel: bool = False) -> str:
    """Neighbours as ``text`` (``distance label image``), ``csv`` (`excel`: for a spreadsheet) or ``jsonl``."""
    if form == "jsonl":
        return "".join(_json(asdict(one)) + "\n" for one in found)
    if form == "csv":
        stream = io.StringIO()
        writer = csv_writer(stream, excel)
        writer.writerow(["image", "label", "distance"])
        writer.writerows([one.image, one.label, round(one.distance, DIGITS)] for one in found)
        return stream.getvalue()
    return "".join(
        f"{one.distance:.4f} {printable(one.label or '-')} {printable(one.image)}\n" for one in found
    )


def _header(labels: Sequence[str], top: int | None, answers: bool) -> list[str]:
    own = [*HEADER, *(ANSWER if answers else ())]
    if top == 0:
        twice = sorted(set(own) & set(labels))
        if twice:
            raise UsageError(
                f"with --top 0 each label is a column, and a label is called {', '.join(twice)}, as another column",
                "leave out --top 0, or use --format jsonl",
            )
        return [*own, *labels]
    last = min(top or 1, len(labels))
    further = [name for rank in range(2, last + 1) for name in (f"label_{rank}", f"confidence_{rank}")]
    return [*own, *further]


def _lines(batch: Predictions, top: int | None) -> Iterator[list[Any]]:
    """A list per image, in the order of the header."""
    answers = batch.answers
    for row, image in enumerate(batch.image):
        best = batch.best(row, top or 1)
        line: list[Any] = [image, best[0][0], round(best[0][1], DIGITS), batch.outlier[row]]
        line += [] if answers is None else _answer(answers, row)
        if top == 0:
            line += [round(float(p), DIGITS) for p in batch.probabilities[row]]
        yield line + [value for label, p in best[1:] for value in (label, round(p, DIGITS))]


def _answer(answers: Answers, row: int) -> list[Any]:
    """The values of `ANSWER`."""
    confidence = round(float(answers.confidence[row]), DIGITS)
    return [answers.name[row], int(answers.level[row]), confidence]


def _taken_from(stream: io.StringIO) -> str:
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
