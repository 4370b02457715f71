"""The report: everything is in it, nothing hostile works in it, and missing photos cost thumbnails only."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

import evaluate
from classify import train_model
from evaluate import compare, write_report
from featurize import FeatureTable

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}

SHOWN_PHOTOS, SHOWN_LOOKS = 60, 24
LOOKS = ("hardest", "label_suspects")  # with one head there is no "every head"

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
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def attributes(self, tag, name):
        return [attrs.get(name) for found, attrs in self.tags if found == tag]


def shown(best, without=(), lists=("misclassified", *LOOKS)):
    """How many photos a comparison of one head shows."""
    caps = {"misclassified": SHOWN_PHOTOS} | dict.fromkeys(LOOKS, SHOWN_LOOKS)
    return sum(row["image"] not in without for name in lists for row in best[name][: caps[name]])


def large(page):
    """The addresses of the pictures, without the small ones of the nearest training photos."""
    return Outline(re.sub(r'<ul class="nearest".*?</ul>', "", page, flags=re.DOTALL)).attributes("img", "src")


def words(page):
    return " ".join(" ".join(Outline(page).text).split())


def test_the_comparison_is_all_there(comparison):
    outline = Outline(comparison.to_html())
    assert [attrs["id"] for tag, attrs in outline.tags if tag == "section"] == [
        "summary",
        "warnings",
        "comparison",
        "differences",
        "confusion",
        "labels",
        "scores",
        "reliability",
        "misclassified",
        "every",
        "hardest",
        "suspects",
        "twice",
        "shortcuts",
        "methods",
        "provenance",
    ]
    text = words(comparison.to_html())
    best = comparison.results[0]
    assert f"{best['head']} on {best['features']} is the best" in text
    assert comparison.data["digest"] in text
    assert all(pair["words"][2:] in text for pair in comparison.comparisons)
    for row in comparison.results:
        assert f"{100 * row['accuracy']['low']:.1f}–{100 * row['accuracy']['high']:.1f}" in text


def test_the_confusion_table_adds_up(comparison):
    page = comparison.to_html()
    table = page[page.index('<table class="confusion">') :].split("</table>")[0]
    counts = [int(n) for n in re.findall(r"<td class=\"(?:right|wrong)[^>]*>(\d+)<small>", table)]
    assert np.reshape(counts, (3, 3)).tolist() == comparison.best["confusion"]["matrix"]


def test_nothing_is_loaded_and_nothing_runs_but_the_script_that_the_policy_names(comparison):
    page = comparison.to_html()
    outline = Outline(page)
    assert not {"link", "iframe", "object", "base", "form"} & {tag for tag, _ in outline.tags}
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert [attrs for tag, attrs in outline.tags if tag == "script"] == [{}]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (
        attrs["content"] for _, attrs in outline.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert dict(one.split(" ", 1) for one in policy.split("; ")) == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert "url(" not in page and "@import" not in page
    assert not any(name.startswith("on") for _, attrs in outline.tags for name in attrs)
    assert all(link.startswith("#") for link in outline.attributes("a", "href"))


def test_hostile_names_are_only_text(confused):
    rename = {"ant": HOSTILE, "bee": "b&b", "cat": "</style></title>"}
    table = confused.relabel(rename).with_column("image", [f"{HOSTILE}/{i}.jpg" for i in range(60)])
    doubtful = {
        "noise": {"fingerprint": HOSTILE, "weights": {"file": HOSTILE}, "description": {HOSTILE: HOSTILE}}
    }
    table.metadata.update(source={"path": HOSTILE, "kind": "folder"}, features=doubtful)
    found = compare(table, ["noise"], ["softmax"], cv=3, jobs=1)
    found.command = HOSTILE
    page = found.to_html()
    outline = Outline(page)
    assert [tag for tag, _ in outline.tags].count("script") == 1 and "49" not in outline.attributes(
        "th", "title"
    )
    assert all(
        (source or "").startswith("data:image/jpeg;base64,") for source in outline.attributes("img", "src")
    )
    assert HOSTILE in outline.text and "b&b" in outline.text


def test_thumbnails_travel_in_the_page(photos):
    found = compare(photos, ["noise"], ["softmax"], cv=3, jobs=1)
    sources = large(found.to_html())
    assert len(sources) == shown(found.best) > len(found.best["misclassified"]) > 0
    picture = Image.open(io.BytesIO(base64.b64decode(sources[0].removeprefix("data:image/jpeg;base64,"))))
    assert picture.format == "JPEG" and picture.size == (40, 20)


def test_a_missing_or_changed_photo_costs_its_thumbnail(photos, tmp_path):
    found = compare(photos, ["noise"], ["softmax"], cv=3, jobs=1)
    gone, changed, broken = (tmp_path / "photos" / row["image"] for row in found.best["misclassified"][:3])
    gone.unlink()
    Image.new("RGB", (9, 9)).save(changed)
    broken.write_text("no image")
    page = found.to_html()
    lost = {row["image"] for row in found.best["misclassified"][:3]}
    assert len(large(page)) == shown(found.best, without=lost)
    assert "3 thumbnails are missing" in words(page)


def test_photos_that_moved_are_found_with_images(photos, tmp_path):
    found = compare(photos, ["noise"], ["softmax"], cv=3, jobs=1)
    moved = (tmp_path / "photos").rename(tmp_path / "moved")
    assert Outline(found.to_html()).attributes("img", "src") == []
    assert len(large(found.to_html(images=moved))) == shown(found.best)


def test_the_gallery_is_capped_and_says_so():
    rng = np.random.default_rng(0)
    table = FeatureTable.from_arrays(
        {"noise": rng.normal(size=(200, 2))}, label=rng.choice(["a", "b"], 200).tolist()
    )
    found = compare(table, heads=["softmax"], jobs=1)
    n_wrong = len(found.best["misclassified"])
    page = found.to_html()
    assert n_wrong > SHOWN_PHOTOS and page.count("<figure>") == SHOWN_PHOTOS + shown(found.best, lists=LOOKS)
    assert f"{n_wrong} by softmax on noise" in words(page) and f"the first {SHOWN_PHOTOS} are shown" in words(
        page
    )


def test_a_test_has_a_report_too(photos):
    even = np.arange(60) % 2 == 0
    found = evaluate.test(train_model(photos.filter(even), "softmax", "good", jobs=1), photos)
    text = words(found.to_html())
    assert "30 of them were in its training set" in text and "softmax on good" in text
    assert len(Outline(found.to_html()).attributes("img", "src")) == len(found.details["misclassified"])


def test_a_perfect_result_has_an_empty_gallery_and_no_hardest_label():
    y = np.repeat(["a", "b"], 10)
    table = FeatureTable.from_arrays({"x": np.eye(2)[(y == "b").astype(int)] + 0.01}, label=y)
    text = words(compare(table, heads=["softmax"], jobs=1).to_html())
    assert "None: softmax on x got every photo right." in text and "Hardest" not in text


def test_the_file_is_written_whole_as_utf8(comparison, tmp_path):
    write_report(comparison, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == comparison.to_html()
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_differences_superclasses_and_scores_are_in_the_page(confused):
    maps = {"ant": "insect", "bee": "insect", "cat": "<pet>"}
    found = compare(confused, ["good", "noise"], ["softmax"], cv=4, superclasses=maps, jobs=1)
    text = words(found.to_html())
    counts = found.best["superclasses"]
    assert f"{counts['crossing']} of {counts['errors']} errors cross" in text and "<pet>" in text
    assert f"{found.results[0]['roc_auc']:.3f}" in text and f"{found.results[0]['brier']:.3f}" in text
    assert f"{100 * found.comparisons[0]['probability']['better']:.0f}" in text
    assert f"macro average {100 * found.results[0]['averages']['macro']['precision']:.1f}" in text


def test_what_every_head_got_wrong_is_shown_with_names(comparison):
    page = comparison.to_html()
    section = words(page[page.index('<section id="every">') : page.index('<section id="hardest">')])
    assert len(comparison.best["wrong_every_time"]) > 0
    assert all(row["image"] in section for row in comparison.best["wrong_every_time"])


def test_sensitivity_is_in_the_report_of_a_test(confused):
    two = {"ant": "ant", "bee": "other", "cat": "other"}
    table = confused.relabel(two)
    even = np.arange(60) % 2 == 0
    model = train_model(table.filter(even), "softmax", "good", jobs=1)
    found = evaluate.test(
        model, table.filter(~even), positive="other", superclasses={"ant": "a", "other": "b"}
    )
    share = found.scores["positive"]["sensitivity"]
    assert f"Sensitivity {100 * share:.1f} % of the photos that are other, found" in words(found.to_html())
    assert found.details["superclasses"]["inside"] == 0
    assert f"other: sensitivity {100 * share:.1f} %" in str(found) and "ROC AUC" in str(found)
