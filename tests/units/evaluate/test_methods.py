"""The methods paragraph: citations and references, and labels too many to name."""

import re

from evaluate.checks.duplicates import find_duplicates
from evaluate.provenance import DataFacts
from evaluate.report import methods
from evaluate.report.methods import REFERENCES, cited_in
from evaluate.studies.curve import learning_curve

CITATION = re.compile(r"\b([A-Z][A-Za-z]+(?: and [A-Z][A-Za-z]+| et al\.)? (?:19|20)\d\d)\b")


def test_every_citation_in_a_paragraph_has_its_reference(comparison, confused):
    curve = learning_curve(confused, "good", cv=3, jobs=1)
    for result in (comparison, curve, find_duplicates(confused, "good")):
        text, references = result.to_dict()["methods_paragraph"].values()
        cited = set(CITATION.findall(text))
        assert cited and {REFERENCES[words] for words in cited} <= set(references)
        assert len(references) == len(set(references))
    assert all(re.search(r"https://\S+$", one) for one in REFERENCES.values())
    assert cited_in("Holmium and Wilsonia") == []  # names inside other words


def test_many_labels_are_not_all_named():
    labels = {f"kind-{i:03}": 2 for i in range(200)}
    data = DataFacts("0" * 64, None, 400, 400, 0, labels, 400, 0, 0, [])
    text = " ".join(methods._photos(data))
    assert "200 labels" in text and "and 188 more" in text and text.count("kind-") == 12
