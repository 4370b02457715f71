"""What the report says is what the result holds: the same content as the JSON, section by section."""

import html
import json
import re

import numpy as np

import evaluate
from classify import train_model
from evaluate import compare
from featurize import FeatureTable

TIMES = ("fit_seconds", "predict_seconds_per_image")


def words(page):
    text = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in TIMES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def test_the_same_seed_gives_the_same_report(photos):
    heads = ["softmax", "mlp:hidden_layer_sizes=(10,)"]
    once, again = (compare(photos, ["noise"], heads, cv=3, repeats=2, seed=4, jobs=jobs) for jobs in (1, 2))
    assert without_times(once.to_dict()) == without_times(again.to_dict())
    for mine, its in zip(once.results, again.results, strict=True):
        for name in TIMES:
            setattr(its, name, mine[name])
    assert once.to_html() == again.to_html()
    other = compare(photos, ["noise"], heads, cv=3, repeats=2, seed=5, jobs=1)
    assert without_times(other.to_dict()) != without_times(once.to_dict())


def test_what_the_json_holds_is_in_the_page(photos):
    found = compare(photos, ["good", "noise"], ["softmax", "knn"], cv=3, jobs=1)
    content, page = json.loads(json.dumps(found.to_dict(), allow_nan=False)), words(found.to_html())

    def shares(values):
        return [f"{100 * one:.1f}" for one in values]

    expected = [
        content["data"]["digest"],
        content["methods_paragraph"]["text"],
        *content["versions"].values(),
    ]
    for row in content["results"]:
        expected += shares([row["accuracy"]["mean"], row["balanced_accuracy"], row["macro_f1"]])
        expected.append(f"{row['log_loss']:.3f}")
    best = content["results"][0]
    for name, scores in best["per_label"].items():
        expected.append(" ".join([name, *shares([scores[key] for key in ("precision", "recall", "f1")])]))
    for one in best["reliability"]:
        expected.append(" ".join([str(one["images"]), *shares([one["confidence"], one["accuracy"]])]))
    for row in content["best"]["misclassified"]:
        nearest = [f"{one['label']} {one['similarity']:.2f}" for one in row["nearest"]]
        sure = f"{row['label']} taken for {row['predicted']} {100 * row['confidence']:.0f} % sure · {row['image']}"
        expected.append(" ".join([sure, *nearest]))
    for row in content["best"]["label_suspects"]:
        expected.append(f"{100 * row['probability']:.0f} % {row['label']} · {row['image']}")
    assert len(content["best"]["misclassified"]) > 3
    assert [one for one in expected if one not in page] == []


def test_a_label_that_conflicts_and_a_duplicate_are_shown(photos):
    rng = np.random.default_rng(0)
    wide = np.abs(rng.normal(size=(60, 64)))
    wide[41] = wide[2]
    sha256 = list(photos.sha256)
    sha256[59] = sha256[0]  # an ant that stands among the cats as well
    table = FeatureTable(photos.ids, {"wide": wide.astype(np.float32)}, photos.metadata)
    page = compare(table.with_column("sha256", sha256), ["wide"], ["softmax"], cv=3, jobs=1).to_html()
    section = words(page[page.index('<section id="twice">') : page.index('<section id="shortcuts">')])
    assert "1 photo stands under several labels" in section
    assert "ant/0.jpg ( ant ), cat/59.jpg ( cat )" in section
    assert (
        "1 pair is nearly the same" in section
        and "ant/2.jpg cat/41.jpg" in section
        and "ant or cat ?" in section
    )


def test_a_single_pair_is_not_called_the_best_of_others(confused):
    found = compare(confused, ["good"], ["sklearn.naive_bayes.GaussianNB"], cv=3, jobs=1)
    page = found.to_html()
    assert "Of 1 pair" not in words(page) and "In words sklearn.naive_bayes.GaussianNB on good: " in words(
        page
    )
    assert "sklearn.<wbr>naive_bayes.<wbr>GaussianNB" in page  # where a narrow column may break it


def test_nothing_is_claimed_of_bytes_that_are_not_known(confused):
    some = [*confused.sha256[:20], *[None] * 40]
    for sha256, sentence in (
        (list(confused.sha256), "No two photos have the same bytes."),
        (some, "No two of the 20 photos whose bytes are known have the same bytes."),
        ([None] * 60, "Whether two photos have the same bytes is not known"),
    ):
        found = compare(confused.with_column("sha256", sha256), ["good"], ["softmax"], cv=3, jobs=1)
        assert sentence in words(found.to_html())


def test_a_shortcut_is_told_with_what_it_was(photos):
    size = np.where(photos.label == "ant", 640.0, 480.0) + np.where(photos.label == "bee", 9.0, 0.0)
    table = FeatureTable(
        photos.ids, {**photos.vectors, "nuisance": size[:, None].astype(np.float32)}, photos.metadata
    )
    found = compare(table, ["good"], ["softmax"], cv=3, jobs=1)
    section = words(found.to_html().split('<section id="shortcuts">')[1].split("</section>")[0])
    assert section.startswith("Shortcut check Found: camera, file and mean colours alone")
    assert "camera, file and mean colours 100.0" in section and found.shortcuts["criterion"] in section
    assert "Not made: the table has no column nuisance" in words(
        compare(photos, ["good"], ["softmax"], cv=3, jobs=1).to_html()
    )


def test_a_test_shows_training_photos_when_their_table_is_given(photos):
    rng = np.random.default_rng(0)
    wide = FeatureTable(photos.ids, {"wide": rng.normal(size=(60, 64)).astype(np.float32)}, photos.metadata)
    even = np.arange(60) % 2 == 0
    model = train_model(wide.filter(even), "softmax", "wide", jobs=1)
    alone = evaluate.test(model, wide.filter(~even)).to_html()
    assert 'class="nearest"' not in alone and "--training TABLE" in alone
    found = evaluate.test(model, wide.filter(~even), training=wide)
    small = re.findall(r'<ul class="nearest".*?</ul>', found.to_html(), re.DOTALL)
    assert len(small) == len(found.details["misclassified"]) > 3
    assert all(one.count("data:image/jpeg") == 3 for one in small)


def test_photos_of_a_separate_test_table_are_found_where_they_were(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    even = np.arange(60) % 2 == 0
    other = photos.filter(~even)
    table = photos.filter(even)
    for name in table.image:  # the photos to train on lie elsewhere
        path = tmp_path / "other" / name
        path.parent.mkdir(exist_ok=True)
        (tmp_path / "photos" / name).rename(path)
    table.metadata["source"] = {"kind": "folder", "path": "other"}
    other.metadata["source"] = {"kind": "folder", "path": "photos"}
    found = compare(table, ["noise"], ["softmax"], test=other, jobs=1)
    wrong = found.best["misclassified"]
    page = found.to_html()
    gallery = page.split('<section id="misclassified">')[1].split("</section>")[0]
    assert wrong and gallery.count("data:image/jpeg") == 4 * len(wrong)  # each with three that trained


def test_many_labels_get_their_commonest_confusions_instead_of_a_matrix():
    rng = np.random.default_rng(0)
    label = [f"kind {i % 30:02}" for i in range(120)]
    found = compare(
        FeatureTable.from_arrays({"x": rng.normal(size=(120, 2))}, label=label),
        heads=["sklearn.naive_bayes.GaussianNB"],
        cv=2,
        jobs=1,
    )
    page = found.to_html()
    counts = np.array(found.best["confusion"]["matrix"])
    np.fill_diagonal(counts, 0)
    section = page.split('<section id="confusion">')[1].split("</section>")[0]
    shown = [int(n) for n in re.findall(r'<td class="number">(\d+)</td>', section)]
    assert shown == sorted(counts.ravel().tolist(), reverse=True)[: len(shown)] and len(shown) == 40
    assert f"of {(counts > 0).sum()} pairs that are confused" in words(section)
