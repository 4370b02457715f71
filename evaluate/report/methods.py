"""How the numbers came about, as a paragraph that can be pasted into a paper, with its references."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.report.sentences import agree, count, interval_in_words, known_in_words, listed, percent
from evaluate.results import (
    FORMAT_VERSION,
    ComparisonRecord,
    CurveRecord,
    DataFacts,
    DuplicatesRecord,
    Features,
    FoldFacts,
    Result,
    TestRecord,
    versions,
)
from evaluate.scores.record import plain
from evaluate.statistics.differences import BAYES_METHOD, COUNTED_METHOD, FAMILY_METHOD, MCNEMAR_METHOD
from evaluate.statistics.intervals import COMPARISON_METHOD, INTERVAL_METHOD, TEST_INTERVAL_METHOD
from evaluate.statistics.power_law import METHOD as CURVE_METHOD

# How the numbers of a comparison came about, one phrase each: over several folds, and where there is only one.
SEVERAL_FOLDS = {
    "interval": INTERVAL_METHOD,
    "comparison": COMPARISON_METHOD,
    "family": FAMILY_METHOD,
    "probability": BAYES_METHOD,
    "mcnemar": MCNEMAR_METHOD,
    "counted": COUNTED_METHOD,
}
# What one fold tests are independent samples for heads taken as they are: no correction, and no word of other heads.
ONE_FOLD = {
    "interval": (
        "95 %, Wilson's score interval; photos that stay together weigh as one where they err together; for the heads "
        "as they were trained"
    ),
    "comparison": (
        "paired t-test over the groups tested (photos, where each stands alone), two-sided, for the heads as they were "
        "trained; 95 % interval from the paired predictions, one pair per photo (after Bonett and Price 2012)"
    ),
    "family": (
        "'is ahead' means that the interval is above 0, for the heads as they were trained; heads trained on other "
        "photos may differ; p values with Holm's correction over all comparisons shown (Holm 1979)"
    ),
    "probability": (
        "posterior of the mean difference over the groups tested, Student's t with a flat prior; the probability that "
        "the true difference is below, within or above the region of practical equivalence"
    ),
    "mcnemar": "McNemar's exact test on the predictions, one per photo (McNemar 1947)",
    "counted": (
        "where all groups tested show exactly the same difference, McNemar's exact test stands for the t-test; images "
        "that stay together count as one"
    ),
}

# The works that a paragraph cites, by the words that cite them.
REFERENCES = {
    "Bonett and Price 2012": "D. G. Bonett and R. M. Price, Adjusted Wald confidence interval for a difference of "
    "binomial proportions based on paired data, Journal of Educational and Behavioral Statistics 37, 479-488 (2012), "
    "https://doi.org/10.3102/1076998611411915",
    "Brier 1950": "G. W. Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review "
    "78, 1-3 (1950), https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    "Corani and Benavoli 2015": "G. Corani and A. Benavoli, A Bayesian approach for comparing cross-validated "
    "algorithms on multiple data sets, Machine Learning 100, 285-304 (2015), "
    "https://doi.org/10.1007/s10994-015-5486-z",
    "Figueroa et al. 2012": "R. L. Figueroa, Q. Zeng-Treitler, S. Kandula and L. H. Ngo, Predicting sample size "
    "required for classification performance, BMC Medical Informatics and Decision Making 12, 8 (2012), "
    "https://doi.org/10.1186/1472-6947-12-8",
    "Guo et al. 2017": "C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On calibration of modern neural networks, "
    "ICML 2017, https://proceedings.mlr.press/v70/guo17a.html",
    "Haralick et al. 1973": "R. M. Haralick, K. Shanmugam and I. Dinstein, Textural features for image "
    "classification, IEEE Transactions on Systems, Man, and Cybernetics SMC-3(6), 610-621 (1973), "
    "https://doi.org/10.1109/TSMC.1973.4309314",
    "He et al. 2016": "K. He, X. Zhang, S. Ren and J. Sun, Deep residual learning for image recognition, CVPR 2016, "
    "https://doi.org/10.1109/CVPR.2016.90",
    "Holm 1979": "S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of "
    "Statistics 6(2), 65-70 (1979), https://www.jstor.org/stable/4615733",
    "Howard et al. 2017": "A. G. Howard et al., MobileNets: efficient convolutional neural networks for mobile "
    "vision applications, arXiv:1704.04861 (2017), https://doi.org/10.48550/arXiv.1704.04861",
    "McNemar 1947": "Q. McNemar, Note on the sampling error of the difference between correlated proportions or "
    "percentages, Psychometrika 12, 153-157 (1947), https://doi.org/10.1007/BF02295996",
    "Nadeau and Bengio 2003": "C. Nadeau and Y. Bengio, Inference for the generalization error, Machine Learning 52, "
    "239-281 (2003), https://doi.org/10.1023/A:1024068626366",
    "Northcutt et al. 2021": "C. G. Northcutt, L. Jiang and I. L. Chuang, Confident learning: estimating uncertainty "
    "in dataset labels, Journal of Artificial Intelligence Research 70, 1373-1411 (2021), "
    "https://doi.org/10.1613/jair.1.12125",
    "Ojala et al. 2002": "T. Ojala, M. Pietikäinen and T. Mäenpää, Multiresolution gray-scale and rotation invariant "
    "texture classification with local binary patterns, IEEE Transactions on Pattern Analysis and Machine "
    "Intelligence 24(7), 971-987 (2002), https://doi.org/10.1109/TPAMI.2002.1017623",
    "Pedregosa et al. 2011": "F. Pedregosa et al., Scikit-learn: machine learning in Python, Journal of Machine "
    "Learning Research 12, 2825-2830 (2011), https://jmlr.org/papers/v12/pedregosa11a.html",
    "Stricker and Orengo 1995": "M. A. Stricker and M. Orengo, Similarity of color images, Storage and Retrieval for "
    "Image and Video Databases III, Proc. SPIE 2420, 381-392 (1995), https://doi.org/10.1117/12.205308",
    "Szegedy et al. 2016": "C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, Rethinking the Inception "
    "architecture for computer vision, CVPR 2016, https://doi.org/10.1109/CVPR.2016.308",
    "Wilson 1927": "E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of "
    "the American Statistical Association 22, 209-212 (1927), https://doi.org/10.1080/01621459.1927.10502953",
}

# Families of extractors whose authors are cited; a name that ends with a dot stands for all that begin so.
FAMILIES = {
    "inception_v3": "Szegedy et al. 2016",
    "mobilenet_0.": "Howard et al. 2017",
    "mobilenet_1.": "Howard et al. 2017",
    "resnet50": "He et al. 2016",
    "resnet101": "He et al. 2016",
    "resnet152": "He et al. 2016",
    "glcm": "Haralick et al. 1973",
    "lbp": "Ojala et al. 2002",
    "color": "Stricker and Orengo 1995",
}


LABELS_NAMED = 12
DIGEST_SHOWN = 12
TUNED = " tuned"  # how `classify.heads.tuning.TunedHead` calls itself


def as_json(found: Result) -> dict[str, Any]:
    """What ``to_dict`` of a result gives: everything but tables and predictions, ready for JSON."""
    content: dict[str, Any] = {"format_version": FORMAT_VERSION, "kind": found.kind}
    keys: tuple[str, ...]
    if isinstance(found, ComparisonRecord):
        keys = ("results", "comparisons", "best", "warnings", "data", "features", "folds", "duplicates")
        content |= {key: getattr(found, key) for key in (*keys, "shortcuts", "learning_curve")}
        content |= {"methods": statistical_methods(found), "seed": found.seed}
    elif isinstance(found, CurveRecord):
        keys = ("model", "points", "fit", "guesses", "gains", "warnings", "data", "features", "folds")
        content |= {key: getattr(found, key) for key in keys}
        content |= {"methods": statistical_methods(found), "seed": found.seed}
    elif isinstance(found, TestRecord):
        content |= {**found.scores, **found.details}
        content |= {key: getattr(found, key) for key in ("warnings", "data", "features", "model")}
        content["methods"] = statistical_methods(found)
    else:
        content |= {key: getattr(found, key) for key in ("features", "threshold", "exact", "images")}
        content |= {"counts": found.counts, "pairs": found.pairs}
        content |= {"data": found.data, "described": found.described}
    content |= {"versions": versions(), "command": found.command}
    return plain(content | {"methods_paragraph": methods_paragraph(found)})


def features_of(found: Result) -> Features:
    """How the vectors behind a result were made."""
    return found.described if isinstance(found, DuplicatesRecord) else found.features


def statistical_methods(found: Result) -> dict[str, str]:
    """How intervals, differences and guesses were computed, one phrase each, by what they are of."""
    if isinstance(found, ComparisonRecord):
        methods = dict(ONE_FOLD if found.folds.one else SEVERAL_FOLDS)
        if found.shortcuts:
            methods["shortcuts"] = found.shortcuts.criterion
        return methods | ({"curve": CURVE_METHOD} if found.learning_curve else {})
    if isinstance(found, CurveRecord):
        return {"interval": INTERVAL_METHOD, "curve": CURVE_METHOD}
    return {"interval": TEST_INTERVAL_METHOD} if isinstance(found, TestRecord) else {}


def methods_paragraph(found: Result) -> dict[str, Any]:
    """The ``text``, which says nothing that is not in the result, and the ``references`` that it cites."""
    if isinstance(found, ComparisonRecord):
        told = _comparison(found)
    elif isinstance(found, TestRecord):
        told = _test(found)
    else:
        told = _curve(found) if isinstance(found, CurveRecord) else _duplicates(found)
    text = " ".join([*_photos(found.data), *_features(features_of(found)), *told, _software()])
    return {"text": text, "references": cited_in(text)}


def citation_of(family: str) -> str | None:
    """Who is cited for a family of extractors; None where nobody is known here.

    >>> citation_of("mobilenet_0.50_224"), citation_of("resnet50_v2")
    ('Howard et al. 2017', None)
    """
    for name, who in FAMILIES.items():
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
    fingerprint = str(entry.get("fingerprint") or "")
    facts.append(
        "imported, its making unknown"
        if fingerprint == "imported"
        else f"fingerprint of all settings {fingerprint[:DIGEST_SHOWN]}"
    )
    return f"{name} ({'; '.join([*facts, *filter(None, [citation_of(family)])])})"


def _comparison(found: ComparisonRecord) -> list[str]:
    methods, best = statistical_methods(found), found.results[0]
    heads = list(dict.fromkeys(row.head for row in found.results))
    sets = list(dict.fromkeys(row.features for row in found.results))
    tested = found.folds.tested
    sentences = [
        f"On {listed(sets)} the {agree(len(heads), 'head', 'heads')} {_heads(heads)} "
        f"{agree(len(heads), 'was', 'were')} trained and tested {_divided(found.folds)} "
        f"({found.folds.method}; seed {found.seed}), the same for all; {count(tested, 'photo', ',')} "
        f"{agree(tested, 'was', 'were')} tested, by heads not trained on them.",
        *_groups(found.data),
        *_scaling(heads),
    ]
    if any(row.tuned for row in found.results):
        sentences.append("The parameters of the heads were searched anew within each training side.")
    sentences += [
        f"Best was {best.name}, with {interval_in_words(best.accuracy)} right, "
        f"macro F1 {percent(best.macro_f1)} % and log loss {best.log_loss:.3f}.",
        f"Intervals: {methods['interval']}.",
    ]
    if found.comparisons:
        told = [methods[name] for name in ("comparison", "family", "probability", "mcnemar")]
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
        f"The model, {_heads([model.head])} on {model.features}, is right on "
        f"{interval_in_words(scores.accuracy_interval)} of them, with macro F1 {percent(scores.macro_f1)} % "
        f"and log loss {scores.log_loss:.3f}.",
        f"Interval: {statistical_methods(found)['interval']}.",
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


def _curve(found: CurveRecord) -> list[str]:
    model, folds, methods = found.model, found.folds, statistical_methods(found)
    sizes = [str(point.images_per_label) for point in found.points]
    return [
        f"The head {_heads([model.head])} was trained on {model.features} with {listed(sizes)} images per label "
        f"on average and tested {_divided(folds)} ({folds.method}; seed {found.seed}), the same for all sizes.",
        *_groups(found.data),
        *_scaling([model.head]),
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
    return [
        f"{searched} and by the cosine similarity of {found.features}, {found.threshold:g} or more ({how}).",
        f"Found were {identical} and {count(counts.near, 'near-identical pair', ',')}{conflicts}",
    ]


def _divided(folds: FoldFacts) -> str:
    if folds.cv == 1:
        return "on one division"
    again = f", divided {folds.repeats} times" if folds.repeats > 1 else ""
    return f"by cross-validation with {count(folds.cv, 'fold', ',')}{again}"


def _heads(heads: Sequence[str]) -> str:
    """Each by name, with what it is and the parameters that are not scikit-learn's own."""
    from classify.heads.spec import HeadSpec

    told = []
    for head in heads:
        registered = _registered(head)
        if registered is None:
            told.append(head)
            continue
        # Of a tuned head the report lists what the search chose, fold by fold.
        params = {} if head.endswith(TUNED) else {**registered.defaults, **HeadSpec.parse(head).params}
        settings = [f"{key}={value}" for key, value in params.items()]
        told.append(f"{head} ({', '.join([registered.summary, *settings])})")
    return listed(told)


def _scaling(heads: Sequence[str]) -> list[str]:
    registered = [head for head in heads if _registered(head)]
    if not registered:
        return []
    which = "Before each head" if len(registered) == len(heads) else f"Before {listed(registered)}"
    return [
        f"{which} every block of features was centred and scaled on the training side alone (signed square root and "
        "one factor for wide non-negative blocks, standard deviation for the others)."
    ]


def _registered(head: str) -> Any:
    """What `classify.heads.registry` knows of a head by its name in a table; None of a dotted path or an object."""
    from classify.heads.registry import HEADS

    return HEADS.get(head.removesuffix(TUNED).partition(":")[0])


def _software() -> str:
    found = versions()
    others = ", ".join(
        f"{name} {v}" for name, v in found.items() if name not in ("bottlehead", "scikit-learn")
    )
    return (
        f"The work was done with bottlehead {found['bottlehead']} and scikit-learn {found['scikit-learn']} "
        f"(Pedregosa et al. 2011); {others}."
    )
