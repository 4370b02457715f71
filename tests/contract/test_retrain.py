"""``bottlehead retrain``: the flags, the lines and the files of TensorFlow's retrain.py."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from builders import Outcome, run, run_process, write_photos

from classify import Steps, load_model, predict_images, train_in_steps
from featurize import FeatureTable

LABELS = ["daisy", "roses", "tulips"]
NETWORK = "mobilenet_v1_0.25_128.pb"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+"


@pytest.fixture(scope="module")
def place(assets, tmp_path_factory):
    """Twenty photos of each of three labels; they are hashed by the path that is typed, so the folder is entered."""
    place = tmp_path_factory.mktemp("retrain")
    for label in LABELS:
        (place / "flower_photos" / label).mkdir(parents=True)
        for photo in sorted((assets / "data" / "flowers" / label).glob("*.jpg"))[:20]:
            shutil.copy(photo, place / "flower_photos" / label)
    (place / "weights").symlink_to(assets / "weights")
    return place


def retrain(place, *words) -> Outcome:
    """The command that README shows, with further flags; a flag that comes again counts the second time."""
    readme = (Path(__file__).parents[2] / "evaluate" / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\$ (bottlehead retrain .*)$", readme, re.MULTILINE)
    given = [*shlex.split(command), "--bottleneck_dir", place / "vectors", "--summaries_dir", place / "logs"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return run(*given, *words)


@pytest.fixture(scope="module")
def retrained(place) -> Outcome:
    words = "--how_many_training_steps 45 --learning_rate 0.05 --validation_batch_size -1".split()
    words += "--print_misclassified_test_images --intermediate_store_frequency 20".split()
    done = retrain(place, *words)
    assert done.status == 0, done.err
    return done


@pytest.fixture(scope="module")
def table(place, assets, retrained) -> FeatureTable:
    """The same vectors and the same split by the commands of the three packages."""
    graph, path = assets / "weights" / NETWORK, place / "t.parquet"
    words = ["-o", path, "--features", graph, "--parity", "retrain", "--store", place / "vectors"]
    assert run("featurize", "extract", place / "flower_photos", *words).status == 0
    words = ["--method", "hash", "--name", "path", "--folder", "flower_photos", "-o", path]
    assert run("evaluate", "split", path, *words).status == 0
    return FeatureTable.read(path)


@pytest.mark.tensorflow
def test_the_lines_are_those_of_retrain_py(retrained, table):
    kinds = (
        r"Train accuracy = [\d.]+%",
        r"Cross entropy = \d\.\d{6}",
        r"Validation accuracy = [\d.]+% \(N=(\d+)\)",
    )
    lines = [re.search(rf"^{STAMP}: Step (\d+): (.*)$", line) for line in retrained.err.splitlines()]
    told = [(int(line[1]), line[2]) for line in lines if line]
    assert [step for step, _ in told] == [step for step in (0, 10, 20, 30, 40, 44) for _ in kinds]
    for number, (_, text) in enumerate(told):
        assert re.fullmatch(kinds[number % 3], text), text
    assert f"(N={(table.split == 'validation').sum()})" in told[2][1]
    assert retrained.err.count("--intermediate_store_frequency has no effect") == 1


@pytest.mark.tensorflow
def test_the_final_accuracy_and_the_mistakes_are_those_of_evaluate_test(retrained, table, place):
    told = place / "test.json"
    assert (
        run("evaluate", "test", place / "retrained_graph.model", place / "t.parquet", "--json", told).status
        == 0
    )
    found = json.loads(told.read_text())
    first, title, *mistakes = retrained.out.splitlines()
    n_test = int((table.split == "testing").sum())
    assert first == f"Final test accuracy = {100 * found['accuracy']:.1f}% (N={n_test})" and n_test > 2
    assert title == "=== MISCLASSIFIED TEST IMAGES ==="
    expected = {f"flower_photos/{one['image']}": one["predicted"] for one in found["misclassified"]}
    assert dict(line.split() for line in mistakes) == expected != {}
    assert all(re.fullmatch(r" *\S+  \S+", line) and len(line.rpartition("  ")[0]) >= 70 for line in mistakes)
    assert "bottlehead retrain --image_dir flower_photos" in (place / "retrained_graph.html").read_text()


@pytest.mark.tensorflow
def test_the_model_is_what_training_in_steps_makes_of_the_table(retrained, table, place):
    plan = Steps(steps=45, learning_rate=0.05, validation_batch_size=-1)
    steps = []
    same = train_in_steps(
        table, "softmax", plan=plan, watch=lambda scores: steps.append(scores.step), first=1
    )
    assert steps == [1, 11, 21, 31, 41, 45]
    X = table.select(table.features[0])
    model = load_model(place / "retrained_graph.model")
    np.testing.assert_allclose(model.predict_proba(X), same.predict_proba(X), rtol=0, atol=1e-6)


@pytest.mark.tensorflow
def test_the_graph_and_its_labels_come_back(retrained, place):
    graph, labels, model = (place / f"retrained_{name}" for name in ("graph.pb", "labels.txt", "graph.model"))
    assert labels.read_text() == "daisy\nroses\ntulips\n"
    assert run("classify", "import-graph", graph, labels, "-o", place / "back").status == 0
    photos = sorted((place / "flower_photos").glob("*/*.jpg"))[::6]
    models = map(load_model, (model, place / "back"))
    one, other = (predict_images(model, photos, store=place / "vectors") for model in models)
    assert one.labels == other.labels == LABELS
    np.testing.assert_allclose(other.probabilities, one.probabilities, rtol=0, atol=1e-5)


@pytest.mark.tensorflow
def test_tensorboard_has_scalars_histograms_and_the_graph(retrained, place):
    import tensorflow as tf

    runs = {}
    for side in ("train", "validation"):
        (path,) = (place / "logs" / side).iterdir()
        _, *runs[side] = tf.compat.v1.train.summary_iterator(str(path))
    graphs = [event.graph_def for event in runs["train"] if event.graph_def]
    definition = tf.compat.v1.GraphDef.FromString(graphs[0])
    assert len(graphs) == 1 and len(graphs[0]) < 200_000 < (place / "retrained_graph.pb").stat().st_size
    assert {"input", "final_result", "final_training_ops/Wx_plus_b/add"} <= {
        one.name for one in definition.node
    }
    first = {one.tag: one for one in runs["train"][0].summary.value}
    layer = "final_training_ops"
    kinds = ("mean", "stddev", "max", "min", "histogram")
    named = {f"{layer}/{what}/summaries/{kind}" for what in ("weights", "biases") for kind in kinds}
    named |= {"accuracy", "cross_entropy", "activations", f"{layer}/Wx_plus_b/pre_activations"}
    assert set(first) == named
    # Probabilities of a hundred photos: each photo's sum to one.
    assert first["activations"].histo.num == 300 and first["activations"].histo.sum == pytest.approx(100)
    weights = first[f"{layer}/weights/summaries/histogram"].histo
    assert weights.num == 3 * 256
    assert weights.min == pytest.approx(first[f"{layer}/weights/summaries/min"].simple_value, rel=1e-5)
    assert weights.sum / weights.num == pytest.approx(
        first[f"{layer}/weights/summaries/mean"].simple_value, abs=1e-6
    )
    assert [event.step for event in runs["validation"]] == [0, 10, 20, 30, 40, 44]


@pytest.mark.tensorflow
def test_distorted_copies_a_name_of_the_result_and_a_small_test(place, retrained):
    words = "--output_graph d.pb --output_labels d.labels.txt --how_many_training_steps 30 --flip_left_right"
    words += " --distorted_copies 1 --final_tensor_name flower/answer --test_batch_size 25"
    words += " --model own.model --report own.html --summaries_dir="
    (place / "vectors" / "roses").mkdir(exist_ok=True)
    (place / "vectors" / "roses" / "1.jpg_inception_v3.txt").write_text("0.5,0.25")
    done = retrain(place, *words.split())
    assert done.status == 0, done.err
    assert re.fullmatch(r"Final test accuracy = [\d.]+% \(N=25\)\n", done.out)
    assert "1 distorted copy of each photo to train on" in done.err
    assert "the text files in" in done.err and "import-bottlenecks" in done.err
    rows = [load_model(place / name).training["rows"] for name in ("own.model", "retrained_graph.model")]
    assert rows[0] > rows[1]
    assert (place / "own.html").exists() and not (place / "d.model").exists()
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString((place / "d.pb").read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        (result,) = tf.import_graph_def(definition, return_elements=["flower/answer:0"], name="")
        rgb = np.full((2, 128, 128, 3), 0.25, np.float32)
        np.testing.assert_allclose(session.run(result, {"input:0": rgb}).sum(axis=1), 1, rtol=1e-5)


# -- what is refused, before a network runs ---

QUICK = "--image_dir photos --output_graph g.pb --output_labels l.txt"
PHOTOS = {
    "photos": [f"{label}/{number}.png" for label in ("fern", "moss") for number in range(25)],
    "flat": ["1.png", "2.png"],
    "alone": [f"fern/{number}.png" for number in range(3)],
    "few": ["fern/1.png", "moss/2.png"],
}


@pytest.mark.parametrize(
    ("words", "status", "error", "hint"),
    [
        (f"{QUICK} --architecture mobilenet_1.0_224_quantized", 1, "8-bit weights", "use mobilenet_1.0_224"),
        (f"{QUICK} --architecture inception_v9", 1, "no network named inception_v9", "inception_v3"),
        (f"{QUICK} --how_many_training_steps 0", 1, "steps is 0", "whole numbers from 1"),
        (f"{QUICK} --output_graph g.h5", 2, "g.h5 is no graph by its name", "classify export"),
        (f"{QUICK} --testing_percentage 0", 2, "leave nothing to test on", "more than 0 for testing"),
        (f"{QUICK} --testing_percentage 60 --validation_percentage 40", 2, "leave nothing", "less than 100"),
        (f"{QUICK} --test_batch_size 0", 2, "tests nothing", "-1 for all"),
        (f"{QUICK} --final_tensor_name input", 1, "'input'", "not beginning with"),
        (f"{QUICK} --final_tensor_name 'a b'", 1, "'a b'", "letters, digits"),
        (f"{QUICK} --output_labels photos/fern/1.png", 1, "is a photo, and plain text would", "another name"),
        (f"{QUICK} --output_labels g.model", 1, "another output", "a name of its own"),
        (f"{QUICK} --report r.pdf", 1, "r.pdf is not the name of a page", "--report r.html"),
        (f"{QUICK} --random_crop 150", 1, "random_crop is 150", "0 to 100"),
        (QUICK.replace("photos", "nowhere"), 1, "there is no .*nowhere", ""),
        (QUICK.replace("photos", "flat"), 1, "have no labels", "a class folder for each of two"),
        (QUICK.replace("photos", "alone"), 1, "have one label, fern", "two labels or more"),
        (QUICK.replace("photos", "few"), 1, "no photo is left to test on", "add photos"),
        (QUICK, 1, "FEATURIZE_WEIGHTS_DIR is .*, but that is not a folder", "correct or unset it"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_error(words, status, error, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", "no such folder")
    monkeypatch.setenv("FEATURIZE_STORE", "store")
    for folder, names in PHOTOS.items():
        write_photos(tmp_path / folder, names, 8, 8)
    done = run(f"bottlehead retrain {words} --summaries_dir logs --model_dir m")
    assert done.status == status
    assert re.search(error, done.error) and hint in done.hint
    assert not list(tmp_path.glob("g.*")) and not (tmp_path / "l.txt").exists() and done.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--output_graph g.pb", "the following arguments are required: --image_dir"),
        (f"{QUICK} --image-dir photos", "perhaps --image_dir is meant"),
        (f"{QUICK} --tfhub_module https://tfhub.dev/x", "unrecognized arguments: --tfhub_module"),
        (f"{QUICK} --learning_rate fast", "invalid float value: 'fast'"),
    ],
)
def test_flags_that_are_wrong_are_refused_with_the_usage(words, said):
    done = run(f"bottlehead retrain {words}")
    assert done.status == 2 and said in done.err and "usage: bottlehead retrain" in done.err


def test_the_module_is_the_same_command(tmp_path):
    done = run_process("evaluate.whole_job.retrain", "--help", cwd=tmp_path)
    assert done.status == 0 and done.out == run("bottlehead retrain --help").out.replace("\n\n\n", "\n\n")
    for flag in ("image_dir", "model_dir", "random_brightness", "summaries_dir", "final_tensor_name"):
        assert f"--{flag}" in done.out
