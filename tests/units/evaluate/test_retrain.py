"""What `bottlehead retrain` finds and divides before it computes."""

import argparse
from types import SimpleNamespace

import pytest

from evaluate.whole_job.retrain import divided, final_lines, network_of
from featurize.errors import SourceError
from featurize.photos.source import list_source

KERAS = "mobilenet_5_0_224_tf_no_top.h5"
OTHERS = ["mobilenet_v1_0.25_224.pb", "inception_v3_mine.weights.h5"]


@pytest.mark.parametrize(
    ("architecture", "files", "family", "chosen"),
    [
        ("inception_v3", ["classify_image_graph_def.pb", *OTHERS], "FILE.pb", "classify_image_graph_def.pb"),
        ("inception_v3", OTHERS, "inception_v3", "inception_v3_mine.weights.h5"),
        # A graph is read at its pooled vector; another layer has its name in Keras' network.
        ("inception_v3:mixed8", ["classify_image_graph_def.pb", *OTHERS], "inception_v3", OTHERS[1]),
        ("mobilenet_0.50_224", ["mobilenet_v1_0.50_224/frozen_graph.pb", *OTHERS, KERAS], "FILE.pb",
         "mobilenet_v1_0.50_224/frozen_graph.pb"),
        ("mobilenet_0.50_224", ["mobilenet_v1_0.50_224.pb", *OTHERS], "FILE.pb", "mobilenet_v1_0.50_224.pb"),
        ("mobilenet_0.50_224", [*OTHERS, KERAS], "mobilenet_0.50_224", KERAS),
        ("mobilenet_0.50_224", OTHERS, "mobilenet_0.50_224", "auto"),
        ("resnet50", ["resnet50_v2.weights.h5"], "resnet50", "auto"),
    ],
)  # fmt: skip
def test_weights_are_found_under_the_names_that_retrain_py_and_keras_gave_them(
    architecture, files, family, chosen, tmp_path
):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    extractor = network_of(architecture, str(tmp_path))
    assert extractor.family == family and extractor.parity == "retrain"
    found = extractor.file if family == "FILE.pb" else extractor.weights
    assert str(found) == (chosen if chosen == "auto" else str(tmp_path / chosen))
    assert network_of(architecture, str(tmp_path / "nowhere")).weights == "auto"


def shares(folder, testing, validation):
    return argparse.Namespace(
        image_dir=str(folder), testing_percentage=testing, validation_percentage=validation
    )


def listing(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return list_source(folder).images


def test_photos_that_share_the_text_before_nohash_share_their_side(tmp_path):
    names = [f"{label}/leaf{leaf}_nohash_{n}.jpg" for label in "ab" for leaf in range(30) for n in range(3)]
    sides = {one.image: one.split for one in divided(listing(tmp_path, names), shares(tmp_path, 30, 20))}
    assert set(sides.values()) == {"training", "validation", "testing"}
    for name, side in sides.items():
        assert sides[name[:-5] + "0.jpg"] == side


def test_folders_that_are_splits_go_before_percentages(tmp_path):
    names = [f"{side}/{label}/{n}.jpg" for side in ("train", "test") for label in "ab" for n in range(3)]
    found = divided(listing(tmp_path, names), shares(tmp_path, 90, 5))
    assert sorted((one.label, one.split) for one in found) == sorted(
        (label, split) for label in "ab" for split in ["training", "testing"] for _ in range(3)
    )
    alone = listing(tmp_path / "alone", ["train/a/1.jpg", "train/b/1.jpg", "test/a/2.jpg", "test/c/1.jpg"])
    with pytest.raises(SourceError, match="no photo of c is left to train on"):
        divided(alone, shares(tmp_path / "alone", 10, 10))


def test_a_small_test_draws_labels_equally_often():
    """Nine photos of a are right and the one of b is wrong: 90 % of all, and half of what is drawn."""
    rows = {"image": SimpleNamespace(to_numpy=lambda: [f"a/{n}" for n in range(9)] + ["b/0"])}
    predictions = SimpleNamespace(rows=rows, label=["a"] * 9 + ["b"], predicted=["a"] * 10)
    options = {"image_dir": "p/", "seed": 3, "print_misclassified_test_images": True}
    tested = SimpleNamespace(predictions=predictions)
    every = list(final_lines(tested, argparse.Namespace(test_batch_size=-1, **options)))
    assert every[0] == "Final test accuracy = 90.0% (N=10)" and [line.split() for line in every[2:]] == [
        ["p/b/0", "a"]
    ]
    drawn = list(final_lines(tested, argparse.Namespace(test_batch_size=400, **options)))
    assert drawn[0].endswith("(N=400)") and 40 < float(drawn[0].split()[4].rstrip("%")) < 60
