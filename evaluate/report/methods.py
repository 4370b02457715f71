"""The methods paragraph for a paper, with its references, and the JSON of a result."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classify.rows import BY_HAND_WEIGHT, block_weights
from evaluate.provenance import DataFacts, Features, FoldFacts, versions
from evaluate.report.data_sentences import alike_in_words, corrections_in_words, known_in_words
from evaluate.report.score_sentences import (
    hierarchical_in_words,
    operating_point_in_words,
    per_group_in_words,
    positive_in_words,
    rankings_in_words,
)
from evaluate.report.words import agree, count, interval_in_words, listed, percent, sentence
from evaluate.results import (
    FORMAT_VERSIONS,
    TIMES,
    ComparisonRecord,
    CurveRecord,
    DuplicatesRecord,
    Result,
    ResultRow,
    TestRecord,
    TestScores,
)
from evaluate.scores.record import plain
from evaluate.statistics.hierarchy import TreeScores
from featurize.id_columns import PHASH
from featurize.photos.photo import decode_version_of
from featurize.table import FeatureTable

WORDS = tomllib.loads(Path(__file__).with_name("methods.toml").read_text(encoding="utf-8"))
REFERENCES: dict[str, str] = WORDS["references"]
LABELS_NAMED = 12
DIGEST_SHOWN = 12
# What the JSON holds of each kind of result, beyond what all have; of a test also its scores and details.
KEYS = {
    "comparison": "results comparisons best warnings data features folds duplicates shortcuts borders "
    "learning_curve per_group corrections methods seed",
    "test": "warnings data features model per_group corrections methods",
    "curve": "model points fit guesses gains advice warnings data features folds corrections methods seed",
    "duplicates": "features threshold exact images counts pairs data described",
}
TUNED = " tuned"  # how `classify.heads.tuning.TunedHead` calls itself


def as_json(found: Result) -> dict[str, Any]:
    """What ``to_dict`` of a result gives: everything but tables and predictions, ready for JSON.

    What differs between two runs on the same table stands under ``run``, and nowhere else.
    """
    content: dict[str, Any] = {"format_version": FORMAT_VERSIONS[found.kind], "kind": found.kind}
    if isinstance(found, TestRecord):
        content |= {**found.scores, **found.details}
    methods = {"methods": statistical_methods(found)}
    content |= {key: methods.get(key) or getattr(found, key) for key in KEYS[found.kind].split()}
    content |= {"versions": versions(), "methods_paragraph": methods_paragraph(found)}
    content = plain(content)
    run: dict[str, Any] = {"date": found.date, "command": found.command}
    if isinstance(found, ComparisonRecord):
        run["results"] = [
            {"features": row["features"], "head": row["head"], **_taken_out(row)}
            for row in content["results"]
        ]
    return content | {"run": run | _taken_out(content)}


def _taken_out(content: dict[str, Any]) -> dict[str, float]:
    return {key: content.pop(key) for key in TIMES if key in content}


def features_of(found: Result) -> Features:
    """How the vectors behind a result were made."""
    return found.described if isinstance(found, DuplicatesRecord) else found.features


def statistical_methods(found: Result) -> dict[str, str]:
    """How intervals, differences and guesses were computed, one phrase each, by what they are of."""
    if isinstance(found, ComparisonRecord):
        methods = dict(WORDS["one_fold" if found.folds.one else "several_folds"])
        if found.results[0].positive is None:
            del methods["shares"]
        if found.data.groups < found.data.images:
            methods["mcnemar"] = WORDS["others"]["mcnemar_of_groups"]
        if any(pair.base_rate is not None for pair in found.comparisons):
            methods["base_rate"] = WORDS["others"]["base_rate"]
        if found.shortcuts:
            methods["shortcuts"] = found.shortcuts.criterion
        if found.borders:
            methods["borders"] = found.borders[0].criterion
        if found.best.taxonomy:
            methods["taxonomy"] = WORDS["others"]["taxonomy"]
        return methods | ({"curve": WORDS["others"]["curve"]} if found.learning_curve else {})
    if isinstance(found, CurveRecord):
        return {"interval": WORDS["several_folds"]["interval"], "curve": WORDS["others"]["curve"]}
    if not isinstance(found, TestRecord):
        return {}
    methods = {"interval": WORDS["others"]["test"], "ranking": WORDS["one_fold"]["ranking"]}
    if found.scores.positive or found.scores.operating_point:
        methods["shares"] = WORDS["one_fold"]["shares"]
    if found.details.taxonomy:
        methods["taxonomy"] = WORDS["others"]["taxonomy"]
    return methods | ({"expected": WORDS["others"]["expected"]} if found.scores.expected else {})


def methods_paragraph(found: Result) -> dict[str, Any]:
    """The ``text``, which says nothing that is not in the result, and the ``references`` that it cites."""
    if isinstance(found, ComparisonRecord):
        told = _comparison(found)
    elif isinstance(found, TestRecord):
        told = _test(found)
    else:
        told = _curve(found) if isinstance(found, CurveRecord) else _duplicates(found)
    text = " ".join(
        [*_photos(found.data), *_corrections(found), *_features(features_of(found)), *told, _software()]
    )
    return {"text": text, "references": cited_in(text)}


def citation_of(family: str) -> str | None:
    """Who is cited for a family of extractors; None where nobody is known here.

    >>> citation_of("mobilenet_0.50_224"), citation_of("resnet50_v2")
    ('Howard et al. 2017', None)
    """
    for name, who in WORDS["families"].items():
        if family == name or (name.endswith(".") and family.startswith(name)):
            return who
    return None


def cited_in(text: str) -> list[str]:
    """The references to those whom `text` names, with or without a year, in the order in which it does.

    >>> [one[:9] for one in cited_in("Wilson's interval, corrected (Holm 1979)")]
    ['E. B. Wil', 'S. Holm, ']
    """
    found = []
    for words, reference in REFERENCES.items():
        mention = re.search(rf"\b{re.escape(words.rpartition(' ')[0])}(?!\w)", text)
        if mention:
            found.append((mention.start(), reference))
    return [reference for _, reference in sorted(found)]


def _photos(data: DataFacts) -> list[str]:
    counts = [f"{name} {n}" for name, n in data.labels.items()]
    more = f" and {len(counts) - LABELS_NAMED} more" if len(counts) > LABELS_NAMED else ""
    labels = f" with {count(len(counts), 'label', ',')} ({', '.join(counts[:LABELS_NAMED])}{more})"
    sentences = [
        f"The data are {count(data.images, 'photo', ',')}{labels if counts else ''}; SHA-256 of names, labels and "
        f"vectors {data.digest[:DIGEST_SHOWN]}."
    ]
    if data.distorted:
        sentences.append(f"{data.distorted} distorted copies of photos were used in training only.")
    return sentences


def _corrections(found: Result) -> list[str]:
    told = []
    if not isinstance(found, DuplicatesRecord) and found.corrections:
        accuracy = None
        if isinstance(found, ComparisonRecord):
            accuracy = found.results[0].accuracy
        elif isinstance(found, TestRecord):
            accuracy = found.scores.accuracy_interval
        told += [f"{words}." for words in corrections_in_words(found.corrections, accuracy)]
    if isinstance(found, TestRecord) and (made := found.model.corrections):
        counted = listed([f"{number} {kind}" for kind, number in made.items() if number]) or "none"
        told.append(f"Labels that the model was trained on were checked by hand: {counted}.")
    return told


def _groups(data: DataFacts) -> list[str]:
    if data.groups == data.images:
        return []
    return [
        f"Identical photos, and photos declared to belong together, make {data.groups} groups of the "
        f"{data.images}; no group was on both sides of a division."
    ]


def _features(features: Features) -> list[str]:
    described = listed([_feature(name, entry) for name, entry in features.items()])
    return [f"Each photo was described once by {described}."] if features else []


def _feature(name: str, entry: Mapping[str, Any] | None) -> str:
    if not entry:
        return f"{name} (origin not recorded)"
    width, family, weights = entry.get("width"), str(entry.get("family") or ""), entry.get("weights") or {}
    facts = [count(int(width), "number", ",")] if width else []
    if weights.get("source") == "random":
        facts.append(f"an untrained network with random weights, seed {weights.get('seed')}")
    elif weights.get("sha256"):
        facts.append(f"a frozen network, SHA-256 of the weights {weights['sha256'][:DIGEST_SHOWN]}")
    facts += entry.get("remarks") or ()
    fingerprint = str(entry.get("fingerprint") or "")[:DIGEST_SHOWN]
    imported = fingerprint == "imported"
    if not imported and entry.get("description"):
        facts.append(f"photos decoded by version {decode_version_of(entry)}")
    facts.append("imported, its making unknown" if imported else f"fingerprint of all settings {fingerprint}")
    return f"{name} ({'; '.join([*facts, *filter(None, [citation_of(family)])])})"


def _comparison(found: ComparisonRecord) -> list[str]:
    methods, best = statistical_methods(found), found.results[0]
    heads = {row.head: row.classifier for row in found.results}
    sets = list(dict.fromkeys(row.features for row in found.results))
    tested = found.folds.tested
    sentences = [
        f"On {listed(sets)} the {agree(len(heads), 'head', 'heads')} {_heads(heads)} "
        f"{agree(len(heads), 'was', 'were')} trained and tested {_divided(found.folds)} "
        f"({found.folds.method}; {_chance(found)}), the same for all; {count(tested, 'photo', ',')} "
        f"{agree(tested, 'was', 'were')} tested, by heads not trained on them.",
        *_groups(found.data),
        *_scaling(heads, sets, found.table),
    ]
    if any(row.tuned for row in found.results):
        sentences.append("The parameters of the heads were searched anew within each training side.")
    sentences += [
        f"Best was {best.name}, with {interval_in_words(best.accuracy)} right, "
        f"macro F1 {percent(best.macro_f1)} % and log loss {best.log_loss:.3f}.",
        f"Intervals: {methods['interval']}.",
        *_other_scores(best, methods),
    ]
    sentences += [*_per_group(found), *_in_a_tree(found.best.taxonomy, methods)]
    if found.comparisons:
        told = [
            methods[name]
            for name in ("comparison", "family", "probability", "mcnemar", "base_rate")
            if name in methods
        ]
        sentences.append(f"Differences: {'; '.join(told)}.")
    if found.learning_curve:
        sizes = [str(point.images_per_label) for point in found.learning_curve.points]
        sentences.append(
            f"The best pair was trained anew with {listed(sizes)} images per label on average. "
            f"Curve: {methods['curve']}."
        )
    return sentences


def _test(found: TestRecord) -> list[str]:
    model, scores = found.model, found.scores
    sentences = [
        f"The model, {_heads({model.head: model.head})} on {model.features}, is right on "
        f"{interval_in_words(scores.accuracy_interval)} of them, with macro F1 {percent(scores.macro_f1)} % "
        f"and log loss {scores.log_loss:.3f}.",
        f"Interval: {statistical_methods(found)['interval']}.",
        *_other_scores(scores, statistical_methods(found)),
        *_per_group(found),
        *_in_a_tree(found.details.taxonomy, statistical_methods(found)),
    ]
    if scores.unseen:
        known = (
            f"{known_in_words(scores)}; on the {scores.unseen.images} that it did not know it is right on "
        )
        return [*sentences, f"{known}{interval_in_words(scores.unseen.accuracy_interval)}."]
    if scores.seen or scores.near or scores.grouped:
        others = ", or others of their groups," if scores.grouped else ""
        known = f"All of the photos, or nearly the same ones,{others} were in its training set."
    elif scores.comparable:
        those = "" if scores.comparable == found.data.images else "whose bytes are known "
        known = f"None of the photos {those}was in its training set."
    else:
        known = "Whether any of the photos was in its training set is not known."
    return [*sentences, known]


def _in_a_tree(found: TreeScores | None, methods: Mapping[str, str]) -> list[str]:
    if found is None:
        return []
    return [
        f"In the tree of the labels: {hierarchical_in_words(found.hierarchical)} ({methods['taxonomy']})."
    ]


def _other_scores(scores: ResultRow | TestScores, methods: Mapping[str, str]) -> list[str]:
    """How photos are ranked and the positive ones found, each with how its interval is made."""
    sentences = []
    if scores.roc_auc is not None:
        sentences.append(
            f"Ranking, one label against the rest, mean: {rankings_in_words(scores)}. {_told(methods, 'ranking')}"
        )
    if scores.positive:
        sentences.append(f"Of {positive_in_words(scores)}.")
    if isinstance(scores, TestScores) and scores.operating_point:
        sentences.append(sentence(operating_point_in_words(scores)))
    if "shares" in methods:
        sentences.append(_told(methods, "shares"))
    if "expected" in methods:
        sentences.append(_told(methods, "expected"))
    return sentences


def _told(methods: Mapping[str, str], name: str) -> str:
    words = methods[name]
    return f"{words[0].upper()}{words[1:]}."


def _per_group(found: ComparisonRecord | TestRecord) -> list[str]:
    if found.per_group is None:
        return []
    row = found.per_group.results[0]
    return [
        f"{sentence(per_group_in_words(found.per_group))} So {row.head} on {row.features} is right on "
        f"{interval_in_words(row.accuracy)} of them; the interval is made as that of photos, with one "
        "prediction per group."
    ]


def _curve(found: CurveRecord) -> list[str]:
    model, folds, methods = found.model, found.folds, statistical_methods(found)
    sizes = [str(point.images_per_label) for point in found.points]
    head = {model.head: model.head}
    return [
        f"The head {_heads(head)} was trained on {model.features} with {listed(sizes)} images per label on average "
        f"and tested {_divided(folds)} ({folds.method}; {_chance(found)}), the same for all sizes.",
        *_groups(found.data),
        *_scaling(head, [model.features], found.table),
        f"Intervals: {methods['interval']}.",
        f"Curve: {methods['curve']}.",
    ]


def _duplicates(found: DuplicatesRecord) -> list[str]:
    counts, photos = found.counts, count(found.images, "photo", ",")
    identical = count(counts.identical, "byte-identical pair", ",")
    conflicts = f", {counts.conflict} of them with conflicting labels."
    searched = f"Duplicates were searched among {photos} by their bytes (SHA-256)"
    if not found.features:
        return [f"{searched} alone.", f"Found were {identical}{conflicts}"]
    same = "pairs in the same neighbourhood were compared, not all"
    how = "all pairs were compared" if found.exact else same
    alike = f"by the cosine similarity of {found.features}, {found.threshold:g} or more"
    if found.features == PHASH:
        alike = f"by perceptual hashes of the cosine transform, {alike_in_words(found)}"
    return [
        f"{searched} and {alike} ({how}).",
        f"Found were {identical} and {count(counts.near, 'near-identical pair', ',')}{conflicts}",
    ]


def _chance(found: ComparisonRecord | CurveRecord) -> str:
    return f"seed {found.seed}, SHA-256 of the folds {found.folds.digest[:DIGEST_SHOWN]}"


def _divided(folds: FoldFacts) -> str:
    if folds.cv == 1:
        return "on one division"
    again = f", divided {folds.repeats} times" if folds.repeats > 1 else ""
    return f"by cross-validation with {count(folds.cv, 'fold', ',')}{again}"


def _heads(heads: Mapping[str, str]) -> str:
    """Each by name, with what it is and the parameters that are not scikit-learn's own.

    `heads` are names and what they stand for, as `classify.heads.fitting.classifier_of` has it.
    """
    from classify.heads.spec import HeadSpec

    told = []
    for head, classifier in heads.items():
        registered = _registered(classifier)
        if registered is None:
            told.append(head if classifier in head else f"{head} ({classifier})")
            continue
        # Of a tuned head the report lists what the search chose, fold by fold.
        tuned = classifier.endswith(TUNED)
        params = {} if tuned else {**registered.defaults, **HeadSpec.parse(classifier).params}
        if not tuned and "LogisticRegression" in registered.classifier:  # which nobody can repeat without
            params = {"C": 1.0, **params}
        settings = [f"{key}={value}" for key, value in params.items()]
        told.append(f"{head} ({', '.join([registered.summary, *settings])})")
    return listed(told)


def _scaling(heads: Mapping[str, str], sets: Sequence[str], table: FeatureTable) -> list[str]:
    from classify.heads.scaling import WIDE

    registered = [head for head, classifier in heads.items() if _registered(classifier)]
    if not registered:
        return []
    which = "Before each head" if len(registered) == len(heads) else f"Before {listed(registered)}"
    weights = {weight for one in sets for weight in block_weights(table, one) or []} - {1.0}
    lighter = (
        f"; beside a network, descriptions by hand with the weight {BY_HAND_WEIGHT:g}" if weights else ""
    )
    return [
        f"{which} every block of features was centred and scaled on the training side alone (signed square root and "
        f"one factor for blocks of {WIDE} numbers and more without a negative one, standard deviation for the others; "
        f"then a block of w numbers has the mean square 1 / sqrt(w){lighter})."
    ]


def _registered(classifier: str) -> Any:
    """What `classify.heads.registry` knows of a head by its spec; None of a dotted path or an object."""
    from classify.heads.registry import HEADS

    return HEADS.get(classifier.removesuffix(TUNED).partition(":")[0])


def _software() -> str:
    found = versions()
    ours, scikit = found.pop("bottlehead"), found.pop("scikit-learn")
    others = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"The work was done with bottlehead {ours} and scikit-learn {scikit} (Pedregosa et al. 2011); {others}."
