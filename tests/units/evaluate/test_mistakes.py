"""Which photos go wrong, whose labels are worth a look, and which errors cross super-classes."""

import numpy as np
import pandas as pd
import pytest

from evaluate.report.score_sentences import superclasses_in_words
from evaluate.scores.crossval import Predictions
from evaluate.scores.mistakes import (
    ByImage,
    check_superclasses,
    hardest,
    label_suspects,
    mean_over_repeats,
    misclassified_by_all,
    read_superclasses,
    superclass_errors,
)
from featurize.errors import UsageError

ANIMALS = {"ant": "insect", "bee": "insect", "cat": "pet"}


def predictions(*columns):
    """Of three images, a cat, a cat and a dog: per column (features, head, repeat) the probabilities of cat."""
    who = {"row": [0, 1, 2], "image": ["c0", "c1", "d2"], "label": ["cat", "cat", "dog"], "group": [0, 1, 2]}
    names = ("features", "head", "repeat")
    times = [dict(zip(names, column, strict=False), fold=0) for column in columns]
    rows = pd.concat([pd.DataFrame(who).assign(**one) for one in times], ignore_index=True)
    times = [one | {"classifier": one["head"]} for one in times]
    chances = np.array([(p, 1 - p) for *_, cats in columns for p in cats])
    return Predictions(rows, chances, ["cat", "dog"], pd.DataFrame(times))


MADE = predictions(
    ("net", "svm", 0, [0.9, 0.2, 0.6]),
    ("net", "svm", 1, [0.8, 0.4, 0.4]),
    ("net", "mlp", 0, [0.7, 0.1, 0.7]),
    ("glcm", "svm", 0, [0.1, 0.9, 0.9]),
)


def test_every_head_and_repeat_on_the_features_is_asked():
    (every,) = misclassified_by_all(MADE, "net")
    assert every == {"image": "c1", "label": "cat", "predicted": "dog", "times": 3}
    assert [one["image"] for one in misclassified_by_all(MADE, "glcm")] == ["c0", "d2"]
    found = hardest(MADE, "net")
    assert [f"{one['image']} {one['predicted']}" for one in found] == ["c1 dog", "d2 cat", "c0 cat"]
    assert found[0]["probability"] == pytest.approx((0.2 + 0.4 + 0.1) / 3)
    mean = mean_over_repeats(MADE.of("net", "svm"))
    assert mean.probabilities[:, 0] == pytest.approx([0.85, 0.3, 0.5])
    assert mean.right.tolist() == [True, False, False]


def test_a_dummy_pardons_no_image_and_makes_none_hard():
    always_dog, svm = ("net", "dummy", 0, [0.0, 0.0, 0.0]), ("net", "svm", 0, [0.9, 0.8, 0.6])
    with_dummy = predictions(svm, always_dog)
    assert [row["image"] for row in misclassified_by_all(with_dummy, "net")] == ["d2"]
    assert hardest(with_dummy, "net") == hardest(predictions(svm), "net")
    # Alone it is all that there is to ask.
    assert [row["image"] for row in misclassified_by_all(predictions(always_dog), "net")] == ["c0", "c1"]


def confident_joint(label, chances, labels):
    """Confident learning's own definition, image by image."""
    means = [np.mean(chances[label == name, j]) for j, name in enumerate(labels)]
    for row, name in zip(chances, label, strict=True):
        above = [j for j in range(3) if row[j] >= means[j]]
        best = max(above, key=lambda j: row[j]) if above else labels.index(name)
        yield labels[best] if labels[best] != name else None


def test_suspects_are_those_of_the_definition(comparison):
    found = mean_over_repeats(comparison.predictions.of("noise", "softmax"))
    expected = list(confident_joint(found.label, found.probabilities, found.labels))
    suspects = label_suspects(found)
    named = {image: name for image, name in zip(found.image, expected, strict=True) if name}
    assert {one["image"]: one["suggested"] for one in suspects} == named
    assert 20 < len(suspects) < 50
    gaps = [one["suggested_probability"] - one["probability"] for one in suspects]
    assert gaps == sorted(gaps, reverse=True)


def test_a_label_without_images_suspects_nobody():
    chances = np.array([[0.6, 0.1, 0.3], [0.2, 0.1, 0.7]])
    found = ByImage(np.array(["a", "b"]), np.array(["ant", "cat"]), chances, ["ant", "bee", "cat"])
    assert label_suspects(found) == []


def test_superclasses_by_hand():
    label = ["ant", "ant", "bee", "cat", "cat", "bee"]
    found = superclass_errors(label, ["ant", "bee", "cat", "cat", "ant", "bee"], ANIMALS)
    assert (found["errors"], found["inside"], found["crossing"]) == (3, 1, 2)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["confusion"] == {"labels": ["insect", "pet"], "matrix": [[3, 1], [1, 1]]}
    assert superclasses_in_words(found).startswith("2 of 3 errors cross from one super-class to another, 1")


def test_a_file_of_superclasses_is_read_or_refused_by_its_line(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("label,superclass\nant, insect\n\nbee,insect\ncat,pet\nemu,bird\n", encoding="utf-8-sig")
    assert check_superclasses(read_superclasses(path), ["ant", "bee", "cat"]) == ANIMALS
    with pytest.raises(UsageError, match="all 2 labels have the super-class insect"):
        check_superclasses(ANIMALS, ["ant", "bee"])
    for rows, message in (
        ("ant", "line 2 .* is 'ant'"),
        ("ant,", "line 2 .* is 'ant,'"),
        ("a,b\na,c", "names a twice, in line 2 and again in line 3"),
    ):
        path.write_text(f"label,superclass\n{rows}\n")
        with pytest.raises(UsageError, match=message):
            read_superclasses(path)
