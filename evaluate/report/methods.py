"""How the numbers came about, as a paragraph that can be pasted into a paper, with its references."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.report.text import interval_in_words, percent
from evaluate.statistics.differences import BAYES_METHOD, COUNTED_METHOD, FAMILY_METHOD, MCNEMAR_METHOD
from evaluate.statistics.intervals import COMPARISON_METHOD, INTERVAL_METHOD

# -- How the numbers of a comparison came about, one phrase each: over several folds, and where there is only one ---

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


# -- The works that a methods paragraph cites, by the words that cite them -------------------------------

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
