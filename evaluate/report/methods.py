"""How the numbers came about, as a paragraph that can be pasted into a paper, with its references."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.references import citation_of, cited_in
from evaluate.report.text import interval_in_words, percent

LABELS_NAMED = 12
DIGEST_SHOWN = 12
TUNED = " tuned"  # how `classify.tuned.TunedHead` calls itself


def with_methods_paragraph(content: dict[str, Any]) -> dict[str, Any]:
    """`content`, what a result's ``to_dict`` holds, and ``methods_paragraph``: ``text`` and ``references``.

    Parameters
    ----------
    content : dict
        Of the kind ``comparison``, ``test``, ``curve`` or ``duplicates``. The paragraph says nothing that is not in it.

    Returns
    -------
    dict
    """
    tell = {
        "comparison": _comparison,
        "test": _test,
        "curve": _curve,
        "duplicates": _duplicates,
    }[content["kind"]]
    sentences = [*_photos(content["data"]), *_features(content), *tell(content), *_software(content)]
    text = " ".join(sentences)
    return {**content, "methods_paragraph": {"text": text, "references": cited_in(text)}}


def _photos(data: Mapping[str, Any]) -> list[str]:
    counts = [f"{name} {count}" for name, count in data["labels"].items()]
    named = ", ".join(counts[:LABELS_NAMED]) + (
        f" and {len(counts) - LABELS_NAMED} more" if len(counts) > LABELS_NAMED else ""
    )
    sentences = [
        f"The data are {_count(data['images'], 'photo')}"
        + (f" with {_count(len(counts), 'label')} ({named})" if counts else "")
        + f"; SHA-256 of names, labels and vectors {data['digest'][:DIGEST_SHOWN]}."
    ]
    if data["distorted"]:
        sentences.append(f"{data['distorted']} distorted copies of photos were used in training only.")
    return sentences


def _groups(data: Mapping[str, Any]) -> list[str]:
    if data["groups"] == data["images"]:
        return []
    return [
        f"Identical photos, and photos declared to belong together, make {data['groups']} groups of the "
        f"{data['images']}; no group was on both sides of a division."
    ]


def _features(content: Mapping[str, Any]) -> list[str]:
    described = content["described"] if content["kind"] == "duplicates" else content["features"]
    if not described:
        return []
    return [f"Each photo was described once by {_listed([_feature(item) for item in described.items()])}."]


def _feature(item: tuple[str, Mapping[str, Any] | None]) -> str:
    name, entry = item
    if not entry:
        return f"{name} (origin not recorded)"
    width, family, weights = entry.get("width"), str(entry.get("family") or ""), entry.get("weights") or {}
    facts = [_count(int(width), "number")] if width else []
    if weights.get("source") == "random":
        facts.append(f"an untrained network with random weights, seed {weights.get('seed')}")
    elif weights.get("sha256"):
        facts.append(f"a frozen network, SHA-256 of the weights {weights['sha256'][:DIGEST_SHOWN]}")
    fingerprint = str(entry.get("fingerprint") or "")
    facts.append(
        "imported, its making unknown"
        if fingerprint == "imported"
        else f"fingerprint of all settings {fingerprint[:DIGEST_SHOWN]}"
    )
    return f"{name} ({'; '.join([*facts, *filter(None, [citation_of(family)])])})"


def _comparison(content: Mapping[str, Any]) -> list[str]:
    results, folds, methods = content["results"], content["folds"], content["methods"]
    best = results[0]
    heads = list(dict.fromkeys(row["head"] for row in results))
    sets = list(dict.fromkeys(row["features"] for row in results))
    sentences = [
        f"On {_listed(sets)} the {'head' if len(heads) == 1 else 'heads'} {_heads(heads)} "
        f"{'was' if len(heads) == 1 else 'were'} trained and tested {_divided(folds)} "
        f"({folds['method']}; seed {content['seed']}), the same for all; "
        f"{_count(folds['tested'], 'photo')} {'was' if folds['tested'] == 1 else 'were'} tested, by heads not "
        "trained on them.",
        *_groups(content["data"]),
        *_scaling(heads),
    ]
    if any(row["tuned"] for row in results):
        sentences.append("The parameters of the heads were searched anew within each training side.")
    sentences += [
        f"Best was {best['head']} on {best['features']}, with {interval_in_words(best['accuracy'])} right, "
        f"macro F1 {percent(best['macro_f1'])} % and log loss {best['log_loss']:.3f}.",
        f"Intervals: {methods['interval']}.",
    ]
    if content["comparisons"]:
        told = [
            methods[name] for name in ("comparison", "family", "probability", "mcnemar") if name in methods
        ]
        sentences.append(f"Differences: {'; '.join(told)}.")
    curve = content.get("learning_curve")
    if curve:
        sizes = [str(point["images_per_label"]) for point in curve["points"]]
        sentences.append(
            f"The best pair was trained anew with {_listed(sizes)} images per label on average. "
            f"Curve: {methods['curve']}."
        )
    return sentences


def _test(content: Mapping[str, Any]) -> list[str]:
    model = content["model"]
    sentences = [
        f"The model, {_heads([model['head']])} on {model['features']}, is right on "
        f"{interval_in_words(content['accuracy_interval'])} of them, with macro F1 {percent(content['macro_f1'])} % "
        f"and log loss {content['log_loss']:.3f}.",
        f"Interval: {content['methods']['interval']}.",
    ]
    if content["unseen"]:
        sentences.append(
            f"{known_in_words(content)}; on the {content['unseen']['images']} that it did not know it is right on "
            f"{interval_in_words(content['unseen']['accuracy_interval'])}."
        )
    elif content["seen"] or content["near"] or content["grouped"]:
        others = ", or others of their groups," if content["grouped"] else ""
        sentences.append(f"All of the photos, or nearly the same ones,{others} were in its training set.")
    elif content["comparable"]:
        those = "" if content["comparable"] == content["data"]["images"] else "whose bytes are known "
        sentences.append(f"None of the photos {those}was in its training set.")
    else:
        sentences.append("Whether any of the photos was in its training set is not known.")
    return sentences


def _curve(content: Mapping[str, Any]) -> list[str]:
    model, folds, methods = content["model"], content["folds"], content["methods"]
    sizes = [str(point["images_per_label"]) for point in content["points"]]
    return [
        f"The head {_heads([model['head']])} was trained on {model['features']} with {_listed(sizes)} images per label "
        f"on average and tested {_divided(folds)} ({folds['method']}; seed {content['seed']}), the same for all sizes.",
        *_groups(content["data"]),
        *_scaling([model["head"]]),
        f"Intervals: {methods['interval']}.",
        f"Curve: {methods['curve']}.",
    ]


def _divided(folds: Mapping[str, Any]) -> str:
    if folds["cv"] == 1:
        return "on one division"
    again = f", divided {folds['repeats']} times" if folds["repeats"] > 1 else ""
    return f"by cross-validation with {_count(folds['cv'], 'fold')}{again}"


def known_in_words(found: Mapping[str, Any]) -> str:
    """Which of the tested photos a model knew: ``3 of them were in its training set, and 2 nearly``.

    >>> known_in_words({"seen": 0, "near": 1, "grouped": None})
    '1 of them is nearly the same as one of its training set'
    """
    seen, near, grouped = found["seen"], found["near"] or 0, found["grouped"] or 0
    parts = [f"{seen} of them {'was' if seen == 1 else 'were'} in its training set"] if seen else []
    if near:
        be = "is" if near == 1 else "are"
        parts.append(
            f"{near} nearly" if parts else f"{near} of them {be} nearly the same as one of its training set"
        )
    if grouped:
        share = "shares" if grouped == 1 else "share"
        parts.append(
            f"{grouped}{'' if parts else ' of them'} {share} a group with a photo of its training set"
        )
    return ", and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _duplicates(content: Mapping[str, Any]) -> list[str]:
    how = (
        "all pairs were compared"
        if content["exact"]
        else "pairs in the same neighbourhood were compared, not all"
    )
    counts = content["counts"]
    photos = _count(content["images"], "photo")
    if not content["features"]:
        return [
            f"Duplicates were searched among {photos} by their bytes (SHA-256) alone.",
            f"Found were {_count(counts['identical'], 'byte-identical pair')}, {counts['conflict']} of them with "
            "conflicting labels.",
        ]
    return [
        f"Duplicates were searched among {photos} by their bytes (SHA-256) and by "
        f"the cosine similarity of {content['features']}, {content['threshold']:g} or more ({how}).",
        f"Found were {_count(counts['identical'], 'byte-identical pair')} and "
        f"{_count(counts['near'], 'near-identical pair')}, {counts['conflict']} of them with conflicting labels.",
    ]


def _heads(heads: Sequence[str]) -> str:
    """Each by name, with what it is and the parameters that are not scikit-learn's own."""
    from classify.heads.spec import parse_head

    told = []
    for head in heads:
        registered = _registered(head)
        if registered is None:
            told.append(head)
            continue
        # Of a tuned head the report lists what the search chose, fold by fold.
        params = {} if head.endswith(TUNED) else {**registered.defaults, **parse_head(head)[1]}
        settings = [f"{key}={value}" for key, value in params.items()]
        told.append(f"{head} ({', '.join([registered.summary, *settings])})")
    return _listed(told)


def _scaling(heads: Sequence[str]) -> list[str]:
    registered = [head for head in heads if _registered(head)]
    if not registered:
        return []
    which = "Before each head" if len(registered) == len(heads) else f"Before {_listed(registered)}"
    return [
        f"{which} every block of features was centred and scaled on the training side alone (signed square root and "
        "one factor for wide non-negative blocks, standard deviation for the others)."
    ]


def _registered(head: str) -> Any:
    """What `classify.heads.registry` knows of a head by its name in a table; None of a dotted path or an object."""
    from classify.heads.registry import HEADS

    return HEADS.get(head.removesuffix(TUNED).partition(":")[0])


def _software(content: Mapping[str, Any]) -> list[str]:
    found = content["versions"]
    named = ", ".join(
        f"{name} {number}" for name, number in found.items() if name not in ("bottlehead", "scikit-learn")
    )
    return [
        f"The work was done with bottlehead {found['bottlehead']} and scikit-learn {found['scikit-learn']} "
        f"(Pedregosa et al. 2011); {named}."
    ]


def _listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
