"""Sections of the report in numbers beyond accuracy: all scores, differences, super-classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.report.page import Section
from evaluate.report.text import operating_point_in_words, percent, points_in_words
from evaluate.scoretext import number
from evaluate.superclass import superclasses_in_words


def score_sections(of: str, scores: Mapping[str, Any]) -> list[Section]:
    """Every score of one head, with how to read it."""
    rows = [
        ("Balanced accuracy", f"{percent(scores['balanced_accuracy'])} %", "mean recall of the labels"),
        ("Macro F1", f"{percent(scores['macro_f1'])} %", "every label counts the same"),
        ("Log loss", f"{scores['log_loss']:.3f}", "0 is perfect; being sure and wrong costs most"),
        ("Brier score", f"{scores['brier']:.3f}", "squared distance of the probabilities from the truth"),
        (
            "Expected calibration error",
            f"{scores['calibration_error']:.3f}",
            "how far confidence and accuracy lie apart, in 15 bins",
        ),
        ("ROC AUC", number(scores["roc_auc"]), "one label against the rest, mean; 0.5 is guessing"),
        ("Average precision", number(scores["average_precision"]), "one label against the rest, mean"),
    ]
    rows += [
        (f"Top {k}", f"{percent(share)} %", f"the true label is among the {k} most probable")
        for k, share in scores["top_k"].items()
    ]
    if "positive" in scores:
        found = scores["positive"]
        for name, meaning in (
            ("sensitivity", f"of the photos that are {found['label']}, found"),
            ("specificity", f"of the photos that are not {found['label']}, left alone"),
            ("precision", f"of the photos called {found['label']}, rightly so"),
        ):
            value = "unknown" if found[name] is None else f"{percent(found[name])} %"
            rows.append((name.capitalize(), value, meaning))
    point = scores.get("operating_point")
    if point:
        rows.append(("Operating point", f"{point['threshold']:.4f}", operating_point_in_words(point)))
    return [Section("scores", "All scores", {"of": of, "rows": rows})]


def difference_sections(comparisons: Sequence[Mapping[str, Any]], one_fold: bool) -> list[Section]:
    """Every comparison in numbers; nothing where there was none."""
    rows = [
        {
            "one": f"{pair['one']['head']} on {pair['one']['features']}",
            "other": f"{pair['other']['head']} on {pair['other']['features']}",
            "difference": pair["difference"],
            "span": points_in_words(pair["difference"], pair["low"], pair["high"]).replace(" points", ""),
            "p_value": pair["p_value"],
            "p_holm": pair["p_holm"],
            "chances": [pair["probability"][name] for name in ("worse", "same", "better")],
            "mcnemar": pair["mcnemar"],
        }
        for pair in comparisons
    ]
    if not rows:
        return []
    content = {
        "rows": rows,
        "family": len(rows),
        "rope": f"{comparisons[0]['rope']:g}",
        "test": "t-test over the groups tested" if one_fold else "corrected test over the folds",
    }
    return [Section("differences", "Differences", content)]


def superclass_sections(of: str, found: Mapping[str, Any] | None) -> list[Section]:
    """How many errors stay inside a super-class; nothing where none were given."""
    if not found:
        return []
    names, rows = found["confusion"]["labels"], found["confusion"]["matrix"]
    table = [
        {"label": name, "counts": list(zip(counts, (place == i for i in range(len(names))), strict=True))}
        for place, (name, counts) in enumerate(zip(names, rows, strict=True))
    ]
    content = {
        "of": of,
        "words": superclasses_in_words(found),
        "accuracy": found["accuracy"],
        "labels": names,
        "rows": table,
    }
    return [Section("superclasses", "Super-classes", content)]
