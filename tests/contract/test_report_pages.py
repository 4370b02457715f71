"""The report: all that the JSON holds is in it, nothing hostile works in it, missing photos cost thumbnails only."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
from builders import words_of_page as words
from PIL import Image

import evaluate
from classify import train_model
from evaluate import compare
from featurize import FeatureTable

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}
BAYES = "sklearn.naive_bayes.GaussianNB"
SHOWN_PHOTOS = 60
LOOKS = ("hardest", "label_suspects")  # with one head there is no "every head"
EVEN = np.arange(60) % 2 == 0
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\u202e'


class Outline(HTMLParser):
    """Text, tags and attributes of a page; complains of tags that do not match."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.open = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def attributes(self, tag, name):
        return [attrs.get(name) for found, attrs in self.tags if found == tag]


def in_gallery(best, lists=("misclassified", *LOOKS)):
    """The photos that the gallery of a comparison of one head shows, each once."""
    return {row["image"] for name in lists for row in best[name][:SHOWN_PHOTOS]}


def large(page):
    """The addresses of the gallery's pictures, without the small ones of the nearest training photos."""
    gallery = section(page, "gallery")
    return Outline(re.sub(r'<ul class="nearest".*?</ul>', "", gallery, flags=re.DOTALL)).attributes(
        "img", "src"
    )


def figures_of(page):
    """By the name of each photo of the gallery its reasons, and what its figure says."""
    found = re.findall(r'<figure id="photo-\d+" class="([^"]*)">(.*?)</figure>', page, flags=re.DOTALL)
    data = json.loads(re.search(r'<template class="gallery-data">(.*?)</template>', page)[1])
    pairs = zip(data["photos"], found, strict=True)
    return {photo[0]: (reasons.split(), words(figure)) for photo, (reasons, figure) in pairs}


def section(page, name):
    return page.split(f'<section id="{name}">')[1].split("</section>")[0]


def test_the_same_seed_gives_the_same_report(photos):
    heads = [BAYES, "sklearn.ensemble.RandomForestClassifier:n_estimators=5"]
    once, again, other = (compare(photos, ["noise"], heads, cv=2, seed=n, jobs=1) for n in [4, 4, 5])
    again.date = once.date  # the day stands below the title
    content, same, unlike = (found.to_dict() for found in (once, again, other))
    assert content.pop("run").keys() == same.pop("run").keys() == unlike.pop("run").keys()
    assert content == same != unlike
    pages = [found.to_html().partition('<section id="run">') for found in (once, again)]
    assert pages[0][:2] == pages[1][:2]


def test_the_comparison_is_all_there(comparison):
    page = comparison.to_html()
    sections = [attrs["id"] for tag, attrs in Outline(page).tags if tag == "section"]
    assert sections[:7] == "summary warnings comparison differences confusion gallery mistakes".split()
    assert sections[7:] == (
        "labels scores reliability rankings map twice shortcuts methods provenance run".split()
    )
    text, best = words(page), comparison.results[0]
    assert f"{best['head']} on {best['features']} is the best" in text
    for pair in comparison.comparisons:  # the probabilities stand in the table alone
        assert pair["words"][2:].partition("; ")[0] in text
    assert "probability that the first is better" not in text
    for row in comparison.results:
        assert f"{100 * row['accuracy']['low']:.1f}–{100 * row['accuracy']['high']:.1f}" in text
    counts = re.findall(r"<td class=\"(?:right|wrong)[^>]*>(\d+)<small>", section(page, "confusion"))
    assert np.reshape([*map(int, counts)], (3, 3)).tolist() == comparison.best["confusion"]["matrix"]
    marked = {name for name, (reasons, _) in figures_of(page).items() if "every" in reasons}
    assert marked == {row["image"] for row in comparison.best["wrong_every_time"]} != set()


def test_what_the_json_holds_is_in_the_page(photos):
    maps = {"ant": "insect", "bee": "insect", "cat": "<pet>"}
    found = compare(photos, ["good", "noise"], [BAYES, "softmax"], cv=3, superclasses=maps, jobs=1)
    content, page = json.loads(json.dumps(found.to_dict(), allow_nan=False)), words(found.to_html())

    def shares(*values):
        return [f"{100 * one:.1f}" for one in values]

    rows, best = content["results"], content["best"]
    expected = [content["data"]["digest"], content["methods_paragraph"]["text"]]
    for row in rows:
        expected += shares(row["accuracy"]["mean"], row["balanced_accuracy"], row["macro_f1"])
        expected.append(f"{row['log_loss']:.3f}")
    expected += content["versions"].values()
    expected += [f"{rows[0][score]:.3f}" for score in ("roc_auc", "brier")]
    for name, scores in rows[0]["per_label"].items():
        expected.append(" ".join([name, *shares(*(scores[key] for key in ("precision", "recall", "f1")))]))
    for one in rows[0]["reliability"]:
        expected.append(" ".join([str(one["images"]), *shares(one["confidence"], one["accuracy"])]))
    expected.append(f"macro average {100 * rows[0]['averages']['macro']['precision']:.1f}")
    for row in best["misclassified"]:
        nearest = [f"{one['label']} {one['similarity']:.2f}" for one in row["nearest"]]
        taken = f"{row['label']} taken for {row['predicted']}"
        taken += f" confidence {100 * row['confidence']:.0f} % · {row['image']}"
        expected.append(" ".join([taken, *nearest]))
    crossing = best["superclasses"]
    expected += [f"{crossing['crossing']} of {crossing['errors']} errors cross", "<pet>"]
    expected.append(f"{100 * content['comparisons'][0]['probability']['better']:.0f}")
    assert len(best["misclassified"]) > 3
    assert [one for one in expected if one not in page] == []


def test_nothing_is_loaded_and_nothing_runs_but_the_script_that_the_policy_names(comparison):
    page = comparison.to_html()
    outline = Outline(page)
    assert not {"link", "iframe", "object", "base", "form"} & {tag for tag, _ in outline.tags}
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert [attrs for tag, attrs in outline.tags if tag == "script"] == [{}]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'"Content-Security-Policy" content="([^"]*)"', page)
    none = {f"{source} 'none'" for source in ("default-src", "base-uri", "form-action")}
    allowed = {"style-src 'unsafe-inline'", "img-src data:", f"script-src 'sha256-{digest}'"}
    assert set(policy.split("; ")) == none | allowed
    assert "url(" not in page and "@import" not in page
    assert not any(name.startswith("on") for _, attrs in outline.tags for name in attrs)
    assert all(link.startswith("#") for link in outline.attributes("a", "href"))


def test_hostile_names_are_only_text(confused):
    rename = {"ant": HOSTILE, "bee": "b&b", "cat": "</style></title>"}
    table = confused.relabel(rename).with_column("image", [f"{HOSTILE}/{i}.jpg" for i in range(60)])
    noise = {"fingerprint": HOSTILE, "weights": {"file": HOSTILE}, "description": {HOSTILE: HOSTILE}}
    table.metadata.update(source={"path": HOSTILE, "kind": "folder"}, features={"noise": noise})
    found = compare(table, ["noise"], [BAYES], cv=2, jobs=1)
    found.command = HOSTILE
    outline = Outline(found.to_html())
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert "49" not in outline.attributes("th", "title")
    sources = outline.attributes("img", "src")
    assert all((source or "").startswith("data:image/jpeg;base64,") for source in sources)
    assert HOSTILE in outline.text and "b&b" in outline.text


def test_thumbnails_travel_in_the_page_and_missing_or_changed_photos_cost_theirs(photos, tmp_path):
    found = compare(photos, ["noise"], [BAYES], cv=3, jobs=1)
    sources = large(found.to_html())
    shown = in_gallery(found.best)
    assert len(sources) == len(shown) >= len(found.best["misclassified"]) > 0
    picture = Image.open(io.BytesIO(base64.b64decode(sources[0].removeprefix("data:image/jpeg;base64,"))))
    assert picture.format == "JPEG" and picture.size == (40, 20)
    moved = (tmp_path / "photos").rename(tmp_path / "moved")
    assert Outline(found.to_html()).attributes("img", "src") == []
    assert len(large(found.to_html(images=moved))) == len(shown)
    lost = [row["image"] for row in found.best["misclassified"][:3]]
    gone, changed, broken = (moved / name for name in lost)
    gone.unlink()
    Image.new("RGB", (9, 9)).save(changed)
    broken.write_text("no image")
    page = found.to_html(images=moved)
    assert len(large(page)) == len(shown - set(lost))
    assert "3 thumbnails are missing" in words(page)


def test_the_gallery_is_capped_and_says_so():
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b"], 200).tolist()
    table = FeatureTable.from_arrays({"noise": rng.normal(size=(200, 2))}, label=label)
    found = compare(table, heads=[BAYES], jobs=1)
    n_wrong, page = len(found.best["misclassified"]), found.to_html()
    assert n_wrong > SHOWN_PHOTOS and figures_of(page).keys() == in_gallery(found.best)
    assert f"{n_wrong} by {BAYES} on noise" in words(page)
    n_shown = len(in_gallery(found.best) & {one["image"] for one in found.best["misclassified"]})
    assert f"{n_shown} of them are shown" in words(page)
    assert f"All {n_wrong} photos that {BAYES} on noise got wrong" in words(page)
    assert section(page, "mistakes").count("<tr>") == n_wrong + 1
    suspects = {row["image"]: row for row in found.best["label_suspects"]}
    assert suspects
    for name, (reasons, said) in figures_of(page).items():
        assert ("suspect" in reasons) == (name in suspects)
        if row := suspects.get(name):
            mine, other = (f"{100 * row[key]:.0f} %" for key in ("probability", "suggested_probability"))
            assert f"label suspect: {row['suggested']} {other}, {row['label']} {mine}" in said
    looked_at = [one["nearest"] is not None for one in found.best["misclassified"]]
    assert looked_at == [place < SHOWN_PHOTOS for place in range(n_wrong)]
    # A perfect result has an empty one, and no hardest label.
    y = np.repeat(["a", "b"], 10)
    table = FeatureTable.from_arrays({"x": np.eye(2)[(y == "b").astype(int)] + 0.01}, label=y)
    text = words(compare(table, heads=["softmax"], jobs=1).to_html())
    assert "None: softmax on x got every photo right." in text and "Hardest" not in text


def test_a_single_pair_is_not_called_the_best_of_others_and_nothing_is_claimed_of_unknown_bytes(confused):
    some = [*confused.sha256[:20], *[None] * 40]
    for sha256, sentence in (
        (list(confused.sha256), "No two photos have the same bytes."),
        (some, "No two of the 20 photos whose bytes are known have the same bytes."),
        ([None] * 60, "Whether two photos have the same bytes is not known"),
    ):
        page = compare(confused.with_column("sha256", sha256), ["good"], [BAYES], cv=3, jobs=1).to_html()
        assert sentence in words(page)
        assert "Not made: the table has no column nuisance" in words(page)
        assert "Of 1 pair" not in words(page) and f"In words {BAYES} on good: " in words(page)
        assert "sklearn.<wbr>naive_bayes.<wbr>GaussianNB" in page  # where a narrow column may break it


def test_a_test_shows_training_photos_when_their_table_is_given(photos):
    wide = np.random.default_rng(0).normal(size=(60, 64)).astype(np.float32)
    table = FeatureTable(photos.ids, {"wide": wide}, photos.metadata)
    new_label, kinds = {"ant": "ant", "bee": "other", "cat": "other"}, {"ant": "a", "other": "b"}
    model = train_model(table.filter(EVEN), BAYES, "wide", relabel=new_label, jobs=1)
    alone = evaluate.test(model, table.filter(~EVEN))
    assert 'class="nearest"' not in alone.to_html() and "--training TABLE" in alone.to_html()
    found = evaluate.test(model, table.filter(~EVEN), training=table, positive="other", superclasses=kinds)
    page, wrong = found.to_html(), found.details["misclassified"]
    small = re.findall(r'<ul class="nearest".*?</ul>', page, re.DOTALL)
    assert len(small) == len(wrong) == len(alone.details["misclassified"]) > 3
    assert all(one.count("data:image/jpeg") == 3 for one in small)
    label = dict(zip(table.image[EVEN], table.label[EVEN], strict=True))  # of those that trained
    assert all(near["label"] == new_label[label[near["image"]]] for one in wrong for near in one["nearest"])
    ends = [100 * found.scores["intervals"]["positive"]["sensitivity"][end] for end in ("low", "high")]
    share = (
        f"ensitivity {100 * found.scores['positive']['sensitivity']:.1f} % ({ends[0]:.1f} to {ends[1]:.1f})"
    )
    assert f"S{share} of the photos that are other, found" in words(page) and f"other: s{share}" in str(found)
    assert "ROC AUC" in str(found) and found.details["superclasses"]["inside"] == 0
    seen = evaluate.test(model, table).to_html()
    assert "30 of them were in its training set" in words(seen) and f"{BAYES} on wide" in words(seen)


def test_photos_of_a_separate_test_table_are_found_where_they_were(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table, other = photos.filter(EVEN), photos.filter(~EVEN)
    for name in table.image:  # the photos to train on lie elsewhere
        path = tmp_path / "other" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).rename(path)
    table.metadata["source"] = {"kind": "folder", "path": "other"}
    other.metadata["source"] = {"kind": "folder", "path": "photos"}
    found = compare(table, ["noise"], [BAYES], test=other, jobs=1)
    wrong, page = found.best["misclassified"], section(found.to_html(), "gallery")
    assert wrong and page.count("data:image/jpeg") == len(large(f'<section id="gallery">{page}')) + 3 * len(
        wrong
    )


def test_many_labels_get_their_commonest_confusions_instead_of_a_matrix():
    X, label = np.random.default_rng(0).normal(size=(120, 2)), [f"kind {i % 30:02}" for i in range(120)]
    found = compare(FeatureTable.from_arrays({"x": X}, label=label), heads=[BAYES], cv=2, jobs=1)
    counts = np.array(found.best["confusion"]["matrix"])
    np.fill_diagonal(counts, 0)
    confusion = section(found.to_html(), "confusion")
    shown = [int(n) for n in re.findall(r'<td class="number">(\d+)</td>', confusion)]
    assert shown == sorted(counts.ravel().tolist(), reverse=True)[: len(shown)] and len(shown) == 40
    assert f"of {(counts > 0).sum()} pairs that are confused" in words(confusion)
