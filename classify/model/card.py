"""The model card: what a model is, where it comes from, and what it needs, on one screen."""

from typing import Any

from classify.model.model import Model, StoredHead
from classify.model.outliers import FALSE_ALARMS
from classify.taxonomy import Taxonomy
from featurize.terminal import columns_taken, padded, printable


def model_card(model: Model, size: int | None = None) -> str:
    """A text for people; `size` is the bytes on disk."""
    training = model.training
    photos = training.get("photos_per_label") or {}
    lines = [f"head      {training.get('head') or type(model.head).__name__}", f"features  {model.features}"]
    for part, width in zip(model.parts, model.widths, strict=True):
        lines += _features_lines(part, width, model.described.get(part))
    lines.append(f"labels    {len(model.labels)}")
    longest = max(map(columns_taken, model.labels))
    for label in model.labels:
        # Of a graph that somebody else trained, nobody knows how many.
        known = f"  {_count(photos[label], 'training photo')}" if photos.get(label) is not None else ""
        lines.append(f"  {padded(label, longest) if known else label}{known}")
    if model.operating_point is not None:
        lines += ["decides", f"  {model.operating_point}"]
    if model.answers is not None:
        lines += ["answers", f"  {model.answers}", *_tree_lines(model.answers.taxonomy)]
    lines += ["scores", *(f"  {line}" for line in _scores(training).splitlines())]
    if model.relabel is not None:
        lines.append("relabelled before training")
        lines += [f"  {old} → {new or '(dropped)'}" for old, new in sorted(model.relabel.items())]
    lines.append("training")
    rows, n_photos = training.get("rows"), training.get("photos")
    if rows is not None and n_photos is not None:
        copies = f" and {_count(rows - n_photos, 'distorted copy', 'distorted copies')}" * (rows > n_photos)
        lines.append(f"  data      {_count(n_photos, 'photo')}{copies}; digest {training.get('data_digest')}")
    if corrections := training.get("corrections"):
        told = [f"{number} {kind}" for kind, number in corrections.items() if number]
        lines.append(f"  labels    by hand: {', '.join(told) or 'none of these photos'}")
    if training.get("seed") is not None:
        lines.append(f"  seed      {training['seed']}")
    if training.get("date"):
        took = f", {training['seconds']} s" if training.get("seconds") is not None else ""
        lines.append(f"  date      {training['date']}{took}")
    if training.get("block_weights"):
        counted = zip(model.blocks, training["block_weights"], strict=False)
        lines.append(f"  blocks    {', '.join(f'{width} at weight {weight:g}' for width, weight in counted)}")
    if training.get("tuning"):
        lines += _tuning_lines(training["tuning"])
    versions = training.get("versions") or {}
    lines.append(f"  versions  {', '.join(f'{name} {version}' for name, version in versions.items())}")
    if training.get("trust"):
        lines.append(f"  trusted   {', '.join(training['trust'])} (loading needs --trust for each)")
    lines += _outlier_lines(model)
    if size is not None:
        lines.append(f"size      {_size(size)}")
        if isinstance(model.predictor, StoredHead):
            arrays = f"the head is {_size(model.predictor.plain.n_bytes)} of plain arrays"
            lines.append(f"  {arrays}, which predict with any version of scikit-learn")
    return "".join(printable(line) + "\n" for line in lines)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.1f} kB"


def _features_lines(part: str, width: int, entry: dict[str, Any] | None) -> list[str]:
    lines = [f"  {part}, {width} numbers per photo"]
    if not entry:
        return [*lines, "    how they were made is not known: predicts on tables only"]
    lines.append(f"    fingerprint  {entry.get('fingerprint')}")
    weights = entry.get("weights")
    if weights:
        lines.append(f"    weights      {_in_words({k: v for k, v in weights.items() if v is not None})}")
    lines += [f"    warning      {remark}" for remark in entry.get("remarks") or ()]
    for key, value in sorted((entry.get("description") or {}).items()):
        if key != "weights" or not weights:
            lines.append(f"    {key:<11}  {_in_words(value)}")
    return lines


def _in_words(value: Any) -> str:
    """``alpha over white, version 1`` for a mapping, ``0, 45, 90`` for a list."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_words(one)}" for key, one in sorted(value.items()))
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tree_lines(taxonomy: Taxonomy) -> list[str]:
    """The inner nodes of the tree, each with how many labels it holds, and further in than its parent."""
    n_held = taxonomy.holds.sum(axis=1).tolist()
    inner = [place for place, below in enumerate(taxonomy.children) if below]
    return [f"  {'  ' * taxonomy.levels[i]}{taxonomy.nodes[i]}  {_count(n_held[i], 'label')}" for i in inner]


def _scores(training: dict[str, Any]) -> str:
    course, scores = training.get("steps") or {}, training.get("scores")
    if "accuracy" in course:
        return (
            f"accuracy {100 * course['accuracy']:.1f} %, cross entropy {course['cross_entropy']:.3f} on the photos set "
            f"aside to validate on, after step {course['best_step']} of {course['steps']}"
        )
    if not scores:
        return "none from training; `evaluate compare` measures them on photos not trained on"
    where = ", ".join(_count(scores[f"{noun}s"], noun) for noun in ("photo", "fold") if f"{noun}s" in scores)
    chosen = "; they chose its parameters too, so a little too good" if training.get("tuning") else ""
    numbers = f"accuracy {100 * scores['accuracy']:.1f} %, log loss {scores['log_loss']:.3f}"
    told = f"{numbers} on photos not trained on ({where}){chosen}"
    if "folds" not in scores:
        return told
    return (
        f"{told}\n  by folds of its own: `evaluate compare` divides the photos otherwise, and differs by luck"
    )


def _outlier_lines(model: Model) -> list[str]:
    if model.outliers is None:
        return ["outliers  not told: too few training photos, or none are known"]
    kept, known, quantiles = len(model.outliers.vectors), model.outliers.photos, model.outliers.percentiles
    return [
        "outliers",
        f"  beyond    {model.outliers.threshold:.4g} from the fifth nearest training photo, as "
        f"{100 * FALSE_ALARMS:.0f} % of photos like those of the training are",
        f"  usual     {quantiles[50]:.4g}; nine in ten {quantiles[5]:.4g} to {quantiles[95]:.4g}",
        f"  kept      {kept} of {_count(known, 'training vector')}",
    ]


def _tuning_lines(tuning: dict[str, Any]) -> list[str]:
    lines = [f"  tuned     by {tuning['by']} on {tuning['n_folds']} folds: {tuning['head']}"]
    for one in tuning["trail"]:
        params = ", ".join(f"{key}={value}" for key, value in one["params"].items())
        scored = "log_loss" in one
        scores = f"log loss {one['log_loss']:.4f}, accuracy {one['accuracy']:.4f}" if scored else one["error"]
        lines.append(f"    {params}: {scores}")
    return lines


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
