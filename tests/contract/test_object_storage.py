"""Photos, manifests, tables, models, reports and outputs at URLs, on an S3 server of this machine and in memory."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from builders import noise, run, upload, write_photos, write_textures

from classify import Steps, load_model
from featurize import BottleheadError, FeatureTable, extract

SECRETS = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_textures(tmp_path / "photos", n=6)


def options(tmp_path: Path) -> list[str]:
    return ["--features", "color", "--store", str(tmp_path / "store")]


def same_but_for_the_source(one: FeatureTable, other: FeatureTable) -> bool:
    about = [{**table.metadata, "source": None} for table in (one, other)]
    return one.digest() == other.digest() and about[0] == about[1]


def test_every_command_takes_and_makes_files_in_a_bucket(bucket, photos, tmp_path):
    upload(photos, f"{bucket}/photos")
    (tmp_path / "labels.csv").write_text("label,new_label\nrough,rough\nsmooth,smooth\n")
    (tmp_path / "m.csv").write_text("image,label\nphotos/rough/1.png,rough\nphotos/smooth/1.png,smooth\n")
    for name in ("labels.csv", "m.csv"):
        upload_one(tmp_path / name, f"{bucket}/{name}")
    where = options(tmp_path)
    commands = [
        ["featurize", "scan", f"{bucket}/photos", "--json", f"{bucket}/scan.json"],
        ["featurize", "extract", f"{bucket}/photos", "-o", f"{bucket}/t.parquet", *where],
        [
            "featurize",
            "extract",
            f"{bucket}/m.csv",
            "-o",
            f"{bucket}/two.npz",
            "--like",
            f"{bucket}/t.parquet",
        ],
        [
            "featurize",
            "adopt",
            f"{bucket}/t.parquet",
            "--like",
            f"{bucket}/t.parquet",
            "-o",
            f"{bucket}/a.parquet",
        ],
        [
            "classify",
            "train",
            f"{bucket}/a.parquet",
            "-o",
            f"{bucket}/m.model",
            "--relabel",
            f"{bucket}/labels.csv",
        ],
        ["classify", "show", f"{bucket}/m.model"],
        ["classify", "predict", f"{bucket}/m.model", f"{bucket}/photos", "-o", f"{bucket}/p.csv"],
        ["classify", "predict", f"{bucket}/m.model", f"{bucket}/two.npz", "-o", f"{bucket}/p.parquet"],
        [
            "classify",
            "neighbours",
            f"{bucket}/m.model",
            f"{bucket}/photos/rough/1.png",
            "--table",
            f"{bucket}/t.parquet",
        ],
        ["evaluate", "split", f"{bucket}/t.parquet", "-o", f"{bucket}/folds.csv", "--cv", "2"],
        ["evaluate", "split", f"{bucket}/t.parquet", "-o", f"{bucket}/divided.parquet"],
        [
            "evaluate",
            "compare",
            f"{bucket}/t.parquet",
            "--folds",
            f"{bucket}/folds.csv",
            "--heads",
            "naive-bayes",
        ],
        ["evaluate", "test", f"{bucket}/m.model", f"{bucket}/t.parquet", "--json", f"{bucket}/test.json"],
        ["evaluate", "duplicates", f"{bucket}/t.parquet", "--report", f"{bucket}/r.html"],
    ]
    done = {}
    for words in commands:
        if words[1] == "predict" or ("--like" in words and words[1] == "extract") or words[1] == "neighbours":
            words = [*words, "--store", str(tmp_path / "store")]
        done[words[1]] = run(*words)
        assert done[words[1]].status == 0, (words, done[words[1]].err)
    here = extract(photos, "color", store=tmp_path / "here")
    there = FeatureTable.read(f"{bucket}/t.parquet")
    assert same_but_for_the_source(there, here)
    assert there.metadata["source"] == {"path": f"{bucket}/photos", "kind": "folder"}
    assert list(FeatureTable.read(f"{bucket}/two.npz").image) == ["photos/rough/1.png", "photos/smooth/1.png"]
    assert load_model(f"{bucket}/m.model").labels == ["rough", "smooth"]
    assert done["neighbours"].out.splitlines()[0].split()[:2] == ["0.0000", "rough"]
    assert json.loads(content(f"{bucket}/scan.json"))["counts"] == {"used": 12, "rejected": 0, "ignored": 0}
    assert content(f"{bucket}/p.csv").count(b"\n") == 13
    assert json.loads(content(f"{bucket}/test.json"))["accuracy"] and b"</html>" in content(
        f"{bucket}/r.html"
    )
    assert content(f"{bucket}/t.rejects.csv") == b"image,reason\n"


def upload_one(path: Path, url: str) -> None:
    import fsspec

    system, place = fsspec.core.url_to_fs(url)
    system.pipe_file(place, path.read_bytes())


def content(url: str) -> bytes:
    import fsspec

    system, place = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return system.cat_file(place)


def test_each_photo_is_fetched_once_and_unchanged_ones_not_again(s3, bucket, photos, tmp_path):
    (photos / "rough" / "broken.png").write_bytes(b"no photo")
    upload(photos, f"{bucket}/photos")
    first = extract(f"{bucket}/photos", "color", store=tmp_path / "store")
    assert s3.n_read() == 13
    s3.requests.clear()
    assert extract(f"{bucket}/photos", "color", store=tmp_path / "store").digest() == first.digest()
    assert s3.n_read() == 1  # the broken one, of which nothing is remembered
    extract(f"{bucket}/photos", "color", store=tmp_path / "store", rehash=True)
    assert s3.n_read() == 14
    s3.requests.clear()
    extract(f"{bucket}/photos", "shape", store=tmp_path / "store")  # of unchanged photos, for other features
    assert s3.n_read() == 13


def test_a_photo_that_was_replaced_by_one_of_equal_size_is_read_again(s3, bucket, tmp_path):
    folder = tmp_path / "bmp"
    folder.mkdir()
    for name, seed in (("a.bmp", 1), ("b.bmp", 2)):
        noise(seed=seed).save(folder / name)
    upload(folder, f"{bucket}/photos")
    before = extract(f"{bucket}/photos", "color", store=tmp_path / "store")
    upload_one(folder / "b.bmp", f"{bucket}/photos/a.bmp")
    after = extract(f"{bucket}/photos", "color", store=tmp_path / "store")
    assert before.sha256[0] != before.sha256[1] and list(after.sha256) == [before.sha256[1]] * 2


def test_what_a_folder_leaves_out_a_bucket_leaves_out(bucket, photos, tmp_path):
    write_photos(photos, ["rough/@eaDir/1.jpg", ".hidden/2.jpg", "beside.png", "rough/deep/er/3.png"])
    for name in ("rough/notes.txt", "smooth/4.heic", "Thumbs.db", "rough/5.dng"):
        (photos / name).write_bytes(b"x")
    upload(photos, f"{bucket}/photos")
    results = [
        run("featurize", "scan", source, "--json", tmp_path / f"{number}.json")
        for number, source in enumerate([photos, f"{bucket}/photos"])
    ]
    assert results[0].out == results[1].out and results[0].status == 0
    facts = [json.loads((tmp_path / f"{number}.json").read_text()) for number in range(2)]
    assert facts[1].pop("source") == {"path": f"{bucket}/photos", "kind": "folder"} != facts[0].pop("source")
    assert facts[0] == facts[1]


def test_a_server_that_is_busy_is_asked_again(s3, bucket, photos, tmp_path):
    upload(photos, f"{bucket}/photos")
    s3.failing = 2
    table = extract(f"{bucket}/photos", "color", store=tmp_path / "store")
    assert s3.failing == 0
    assert table.digest() == extract(photos, "color", store=tmp_path / "here").digest()


def test_a_manifest_names_photos_beside_it_at_urls_and_below_a_root(bucket, photos, tmp_path):
    upload(photos, f"{bucket}/data/photos")
    manifest = tmp_path / "m.csv"
    lines = f"rough/0.png,a\nsmooth/../smooth/0.png,b\n{bucket}/data/photos/rough/1.png,a\nnone.png,a\n"
    manifest.write_text("image,label\n" + lines)
    upload_one(manifest, f"{bucket}/data/photos/m.csv")
    where = options(tmp_path)
    for source, more in (
        (f"{bucket}/data/photos/m.csv", []),
        (manifest, ["--root", f"{bucket}/data/photos"]),
    ):
        done = run("featurize", "extract", source, *more, "-o", tmp_path / "t.parquet", *where)
        assert done.status == 0 and "1 photo of the manifest is not found" in done.err
        table = FeatureTable.read(tmp_path / "t.parquet")
        assert list(table.image) == ["rough/0.png", "rough/1.png", "smooth/0.png"]
        reject = (tmp_path / "t.rejects.csv").read_text().splitlines()[1]
        assert reject == f"none.png,no such file; it was looked for in {bucket}/data/photos"
    manifest.write_text(f"image\n{bucket}/data/photos/rough/1.png\n")
    table = extract(manifest, "color", store=tmp_path / "store")
    assert list(table.image) == [f"{bucket}/data/photos/rough/1.png"]


def test_predict_takes_folders_photos_and_patterns_of_a_bucket(bucket, photos, tmp_path):
    upload(photos, f"{bucket}/photos")
    store = ["--store", str(tmp_path / "store")]
    extract(photos, "color", store=tmp_path / "store").write(tmp_path / "t.parquet")
    train = ["classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m.model", "--head", "naive-bayes"]
    assert run(*train).status == 0
    given = [f"{bucket}/photos/rough/*.png", f"{bucket}/photos/smooth/", f"{bucket}/photos/smooth/0.png"]
    done = run(
        "classify", "predict", tmp_path / "m.model", *given, f"{bucket}/none.png", "--format", "csv", *store
    )
    names = [line.split(",")[0] for line in done.out.splitlines()[1:]]
    folders = [f"{bucket}/photos/rough", f"{bucket}/photos/smooth"]
    assert names == [f"{folder}/{number}.png" for folder in folders for number in range(6)]
    assert done.status == 0 and f"left out {bucket}/none.png: no such file" in done.err


def test_a_report_shows_photos_from_where_they_are(bucket, photos, tmp_path):
    write_photos(photos / "rough", ["twin.png"], seed=7)
    (photos / "smooth" / "twin.png").write_bytes((photos / "rough" / "twin.png").read_bytes())
    upload(photos, f"{bucket}/photos")
    extract(f"{bucket}/photos", "color", store=tmp_path / "store").write(tmp_path / "t.parquet")
    words = ["evaluate", "duplicates", tmp_path / "t.parquet", "--report", tmp_path / "r.html"]
    assert run(*words, "--features", "color", "--threshold", "0.9999").status == 0
    assert (tmp_path / "r.html").read_text().count("data:image/jpeg") >= 2
    table = FeatureTable.read(tmp_path / "t.parquet")
    table.metadata["source"]["path"] = f"{bucket}/elsewhere"
    table.write(tmp_path / "moved.parquet")
    words[2] = tmp_path / "moved.parquet"
    assert run(*words, "--features", "color", "--threshold", "0.9999").status == 0
    assert "data:image/jpeg" not in (tmp_path / "r.html").read_text()
    assert run(*words, "--features", "color", "--images", f"{bucket}/photos").status == 0
    assert (tmp_path / "r.html").read_text().count("data:image/jpeg") >= 2


REFUSED = [
    ("featurize scan s3://no-such-bucket/x", "there is no bucket no-such-bucket", "check its name"),
    ("featurize scan {bucket}/none", "there is no {bucket}/none", "give a folder of photos"),
    ("featurize scan {bucket}/none.csv", "there is no {bucket}/none.csv", "give a folder of photos"),
    ("featurize scan odd://x/y", "nothing is known of odd:// URLs", "s3://, gs://, https://"),
    (
        "featurize extract p -o s3://no-such-bucket/t.parquet",
        "cannot be written: there is no bucket",
        "check its name",
    ),
    (
        "featurize extract p -o https://localhost/t.parquet",
        "a web address cannot be written to",
        "s3:// or gs://",
    ),
    (
        "featurize extract p -o {bucket}/t.csv",
        "{bucket}/t.csv cannot be a table: tables are .parquet or .npz, not csv",
        "to_frame().to_csv(",
    ),
    ("featurize scan s3://me:secret@bucket/x", "a bucket's URL holds no credentials", "AWS_ACCESS_KEY_ID"),
    ("classify show {bucket}/none.model", "there is no model {bucket}/none.model", "classify train"),
    (
        "classify train {bucket}/none.parquet -o m",
        "there is no table {bucket}/none.parquet",
        "featurize extract",
    ),
    ("evaluate compare s3://no-such-bucket/t.parquet", "there is no bucket no-such-bucket", "check its name"),
]


@pytest.mark.parametrize(("words", "problem", "hint"), REFUSED, ids=[words for words, _, _ in REFUSED])
def test_what_cannot_be_reached_is_said_with_a_remedy(bucket, words, problem, hint):
    done = run(words.format(bucket=bucket))
    assert done.status == 1 and problem.format(bucket=bucket) in done.error and hint in done.hint
    assert "secret" not in done.err


def test_without_credentials_it_says_which_to_set(bucket, monkeypatch, tmp_path):
    import s3fs

    for name in SECRETS:
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    for words in (["featurize", "scan", f"{bucket}/photos"], ["classify", "show", f"{bucket}/m.model"]):
        done = run(*words)
        assert done.status == 1 and "no credentials were found" in done.error
        assert "AWS_ACCESS_KEY_ID" in done.hint
    done = run("featurize", "store", "list", "--store", f"{bucket}/store")
    assert "no credentials were found" in done.error and "AWS_ACCESS_KEY_ID" in done.hint


def test_what_is_forbidden_is_called_so(s3, bucket, monkeypatch):
    def forbidden(environment, start):
        start("403 Forbidden", [("Content-Type", "application/xml")])
        answer = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        return [answer] if environment["REQUEST_METHOD"] == "GET" else []

    monkeypatch.setattr(s3, "_app", forbidden)
    done = run("featurize", "scan", f"{bucket}/photos")
    assert "access is denied" in done.error and "AWS_ACCESS_KEY_ID" in done.hint


@pytest.mark.parametrize(("protocol", "extra"), [("s3", "s3"), ("gs", "gs"), ("https", "http")])
def test_a_protocol_whose_package_is_missing_names_the_extra(monkeypatch, protocol, extra):
    import fsspec

    def missing(*args, **options):
        raise ImportError("Install it")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    done = run("featurize", "scan", f"{protocol}://bucket/photos")
    assert done.hint == f"pip install '.[{extra}]' in the checkout"


def test_an_output_at_a_url_replaces_its_own_kind_alone(tmp_path, photos):
    url = f"memory://{tmp_path.name}"
    upload(photos, f"{url}/photos")
    words = ["featurize", "extract", f"{url}/photos", *options(tmp_path), "-o"]
    assert run(*words, f"{url}/t.parquet").status == 0 and run(*words, f"{url}/t.parquet").status == 0
    upload_one(photos / "rough" / "0.png", f"{url}/photo.parquet")
    done = run(*words, f"{url}/photo.parquet")
    assert done.error == f"{url}/photo.parquet is a photo, and a table of features would replace it"
    done = run(*words, f"{url}/t.parquet", "--rejects", f"{url}/t.parquet")
    assert done.error == f"{url}/t.parquet is another output and would be overwritten"


def test_a_damaged_table_at_a_url_is_called_damaged(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing more")
    upload_one(tmp_path / "t.parquet", f"memory://{tmp_path.name}/t.parquet")
    with pytest.raises(BottleheadError, match="cannot be read as a table"):
        FeatureTable.read(f"memory://{tmp_path.name}/t.parquet")


def test_a_file_url_is_a_path(photos, tmp_path):
    table = extract(f"file://{photos}", "color", store=tmp_path / "store")
    assert table.digest() == extract(photos, "color", store=tmp_path / "store").digest()
    table.write(f"file://{tmp_path}/t.parquet")
    assert (tmp_path / "t.parquet").is_file()


def test_a_file_that_is_called_like_a_url_is_reached_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "s3:" / "bucket", ["a/1.png", "b/1.png"])
    assert len(extract("./s3://bucket", "color", store=tmp_path / "store")) == 2
    assert len(extract(Path("s3://bucket"), "color", store=tmp_path / "store")) == 2


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (
            "featurize extract {0}/photos -o {0}/t.parquet --features memory://net.pb",
            "frozen graphs are read from",
        ),
        ("featurize import-bottlenecks memory://b -o {0}/t.parquet", "bottlenecks are read from"),
        ("featurize import-vectors memory://v.npy -o {0}/t.parquet", "vectors are read from"),
        ("classify import-graph memory://net.pb {0}/l.txt -o {0}/m.model", "frozen graphs are read from"),
    ],
)
def test_what_stays_on_this_machine_says_so(photos, tmp_path, words, what):
    done = run(words.format(tmp_path))
    url = next(word for word in words.split() if word.startswith("memory://"))
    assert (done.status, done.error) == (1, f"{url} is a URL, and {what} this machine")
    with pytest.raises(BottleheadError, match="summaries are written on this machine"):
        Steps(10, summaries="memory://logs")


def test_a_url_that_became_a_path_is_explained():
    with pytest.raises(BottleheadError, match="a Path makes one slash of two"):
        extract(Path("s3://bucket/photos"), "color")


class Web:
    """A web server of files, some behind a password or a signature, that may be busy."""

    def __init__(self, files: dict[str, bytes]):
        import threading
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        web = self
        self.files, self.failing, self.signed = files, 0, ""

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self):
                name, _, query = self.path.partition("?")
                data = web.files.get(name)
                status = 200 if data is not None else 404
                if web.signed and query != web.signed:
                    status = 403
                if web.failing:
                    web.failing, status = web.failing - 1, 503
                self.send_response(status)
                body = data if status == 200 else b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def web(photos):
    pytest.importorskip("aiohttp", reason="pip install '.[http]'")
    files = {f"/{path.relative_to(photos).as_posix()}": path.read_bytes() for path in photos.rglob("*.png")}
    server = Web(files)
    yield server
    server.close()


def test_a_manifest_on_the_web_names_photos_beside_it(web, photos, tmp_path):
    web.files["/m.csv"] = b"image,label\nrough/0.png,a\nsmooth/0.png,b\nsmooth/none.png,b\n"
    web.failing = 2
    table = extract(f"{web.url}/m.csv", "color", store=tmp_path / "store")
    assert list(table.image) == ["rough/0.png", "smooth/0.png"]
    here = extract([photos / "rough/0.png", photos / "smooth/0.png"], "color", store=tmp_path / "here")
    assert np.array_equal(table.select("color"), here.select("color")) and list(table.sha256) == list(
        here.sha256
    )


def test_no_credential_gets_into_a_message_a_file_or_the_store(web, photos, tmp_path, caplog, monkeypatch):
    web.signed = "X-Amz-Signature=hush"
    login = web.url.replace("://", "://me:secret@")
    lines = "".join(
        f"{login}/{name}?{web.signed},{name[:1]}\n" for name in ("rough/0.png", "smooth/0.png", "none.png")
    )
    web.files["/m.csv"] = b"image,label\n" + lines.encode()
    source = f"{login}/m.csv?{web.signed}"
    with caplog.at_level(logging.DEBUG, "bottlehead"):
        done = run(
            "featurize", "extract", source, "-o", tmp_path / "t.parquet", *options(tmp_path), "--verbose"
        )
        assert done.status == 0, done.err
        failed = run("featurize", "scan", f"{login}/none.csv?{web.signed}")
        wrong = run("classify", "show", f"{login}/m.csv?{web.signed}")
        more = run(
            "evaluate",
            "duplicates",
            tmp_path / "t.parquet",
            "--images",
            f"{login}/?{web.signed}",
            "--report",
            "r",
        )
    said = done.err + failed.error + failed.hint + wrong.err + more.err + done.out + caplog.text
    kept = b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".png"
    )
    for secret in ("secret", "hush", "me:"):
        assert secret not in said and secret.encode() not in kept
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert table.metadata["source"] == {"path": f"{web.url}/m.csv", "kind": "manifest"}
    assert list(table.image) == ["rough/0.png", "smooth/0.png"]


def test_a_table_and_a_model_on_the_web_are_read(web, photos, tmp_path):
    extract(photos, "color", store=tmp_path / "store").write(tmp_path / "t.parquet")
    train = ["classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m.model", "--head", "naive-bayes"]
    assert run(*train).status == 0
    for name in ("t.parquet", "m.model"):
        web.files[f"/{name}"] = (tmp_path / name).read_bytes()
    done = run("evaluate", "test", f"{web.url}/m.model", f"{web.url}/t.parquet")
    assert done.status == 0 and done.out.startswith("accuracy")
    done = run("classify", "show", f"{web.url}/none.model")
    assert done.error == f"there is no model {web.url}/none.model"


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_an_archive_in_a_bucket_is_read_where_it_is(s3, bucket, photos, tmp_path, ending):
    kinds = {"zip": "zip", "tar": "tar", "tar.gz": "gztar"}
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), kinds[ending], photos))
    upload_one(archive, f"{bucket}/packed.{ending}")
    s3.requests.clear()
    table = extract(f"{bucket}/packed.{ending}", "color", store=tmp_path / "store")
    n_fetched = sum(method == "GET" and "packed" in path for method, path in s3.requests)
    assert same_but_for_the_source(table, extract(photos, "color", store=tmp_path / "here"))
    # A few for the listing, and one for each photo, though it is read to be hashed and to be decoded.
    assert n_fetched <= 12 + 6
    s3.requests.clear()
    extract(f"{bucket}/packed.{ending}", "color", store=tmp_path / "store")
    assert sum(method == "GET" and "packed" in path for method, path in s3.requests) <= 4
