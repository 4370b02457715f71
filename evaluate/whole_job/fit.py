"""``bottlehead fit``: the whole job in one command, from a folder of photos to a model that was tested.

It does what the commands of the three packages do, in their order, and prints them. Features and head are chosen by
cross-validation on the photos to train on; the photos set aside for testing are looked at once, at the end.
"""

import argparse
import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featurize.commands import OptionsError, add_command, command_line
from featurize.errors import SourceError, UsageError, without_credentials
from featurize.options import add_manifest_options, add_max_megapixels, manifest_options
from featurize.outputs import (
    CSV,
    MODEL,
    PAGE,
    TABLE,
    check_model_name,
    check_outputs,
    is_streamed,
    is_table,
    where_written,
)
from featurize.terminal import log, printable

if TYPE_CHECKING:
    from evaluate.studies.compare import Comparison
    from evaluate.studies.testing import TestResult
    from featurize.photos.origin import SourceImage
    from featurize.table import FeatureTable

EXAMPLE = "bottlehead fit photos/ -o photos.model"
NETWORK, SMALL_NETWORK, TEXTURE = "inception_v3", "efficientnet_lite0", "texture"
TESTED = 20  # per cent of the photos
FOLDS = 5
LEAST = 3  # photos of a label: one to test on, and two to part once more when heads are compared
HEADS, HEADS_FOR_MANY = ("softmax", "svm"), ("softmax", "linear-svm")
MANY = 5_000  # photos; svm takes their square
ENOUGH = 20  # photos of a label, to train on and to test; below, nothing is recommended
WIDE = 0.1  # of an interval, from end to end


def add_fit(commands: Any) -> None:
    """``bottlehead fit``, as an entry of the command's list."""
    summary = (
        "Train a model on photos, test it on some of them, and say how good it is: the whole job at once."
    )
    parser = add_command(commands, "fit", _fit, summary, EXAMPLE)
    option = parser.add_argument
    text = (
        "folder of class folders, or of train and test folders of these, .zip or .tar of one, manifest with image and "
        "label columns, .parquet with photos, or the URL of one"
    )
    option("source", metavar="PHOTOS", help=text)
    option("-o", "--output", required=True, metavar="MODEL", help="where to write the model")
    text = (
        "features to choose from, as `featurize extract` takes them (default: inception_v3, and efficientnet_lite0 "
        "where it is installed); texture is always tried beside them"
    )
    option("--features", nargs="+", action="extend", metavar="SPEC", help=text)
    text = "of networks: auto (default), imagenet, random, FILE, or SPEC=FILE; repeatable"
    option("--weights", action="append", default=[], metavar="W", help=text)
    text = "the report of the test (default: as the model, with .html); that of the comparison lies beside it"
    option("--report", metavar="FILE.html", help=text)
    text = "the table of vectors (default: as the model, with .fit.parquet)"
    option("--table", metavar="TABLE", help=text)
    text = "its first capture group in the image's name is the group, kept together (default: text before _nohash_)"
    option("--group-by", metavar="REGEX", help=text)
    add_manifest_options(parser)
    text = "folder or URL where vectors are kept (default: $FEATURIZE_STORE, or the user's cache folder)"
    option("--store", metavar="DIR", help=text)
    add_max_megapixels(parser)


def _fit(args: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from classify.cli import build_parser as classify_parser
    from classify.model.modelfile import load_model
    from evaluate.report.html import write_report
    from evaluate.studies.compare import compare
    from evaluate.studies.testing import test
    from featurize.cli import build_parser as featurize_parser
    from featurize.registry import make_extractor
    from featurize.table import FeatureTable

    places = _checked_outputs(args)
    model, table_file = args.output, places["table"]
    specs = _specs(args.features)
    for spec in specs:
        make_extractor(spec)  # a wrong one is refused before photos are read
    commands = Commands(args)
    commands.add("featurize", "scan", args.source, *_source_words(args))
    _check_photos(args)
    words = [args.source, "-o", table_file, "--features", *specs, *_source_words(args)]
    words += [word for weights in args.weights for word in ("--weights", weights)]
    words += ["--store", args.store] if args.store else []
    commands.run(featurize_parser(), "featurize", "extract", *words)

    table = FeatureTable.read(table_file)
    places["rejects"] = _rejects_of(table_file)
    n_rejects = _count_rows(places["rejects"])
    with threadpool_limits(args.jobs):
        table, to_compare = _divided(table, args, commands, table_file)
    training = table.filter(table.split != "testing")
    features, heads = _candidates(table), HEADS if len(training) <= MANY else HEADS_FOR_MANY
    words = [table_file, "--features", *features, "--heads", *heads, "--cv", str(to_compare["cv"])]
    words += ["--group-duplicates"] * to_compare["group_duplicates"]
    command = commands.add("evaluate", "compare", *words, "--report", places["comparison"])
    found = compare(table, features, heads, seed=args.seed, jobs=args.jobs, **to_compare)
    found.command = command
    write_report(found, places["comparison"])

    best = found.results[0]
    words = [table_file, "-o", model, "--head", best.head, "--features", best.features]
    commands.run(classify_parser(), "classify", "train", *words)
    words = [model, table_file, "--training", table_file, "--report", places["report"]]
    command = commands.add("evaluate", "test", *words)
    with threadpool_limits(args.jobs):
        tested = test(load_model(model), table, training=table)
    tested.command = command
    write_report(tested, places["report"])
    for path in (places["comparison"], places["report"]):
        log.info("wrote %s", where_written(path))
    for line in summary_lines(found, tested, model, places, n_rejects):
        print(printable(line))
    print("\nWhat was done; these commands repeat it:")
    for command in commands.lines:
        print(printable(f"  {command}"))
    return 0


class Commands:
    """The commands of the three packages that do the same, as a shell takes them."""

    def __init__(self, args: argparse.Namespace):
        self.lines: list[str] = []
        self._seed = ["--seed", str(args.seed)] if args.seed else []
        self._jobs = ["--jobs", str(args.jobs)] if args.jobs else []

    def add(self, *words: str) -> str:
        """Note a command that is about to be done, and say it."""
        seed = self._seed if words[1] in ("extract", "split", "compare", "train") else []
        self.lines.append(without_credentials(command_line([*words, *seed])))
        log.info("$ %s", self.lines[-1])
        return self.lines[-1]

    def run(self, parser: argparse.ArgumentParser, *words: str) -> None:
        """Note a command and run it."""
        self.add(*words)
        args = parser.parse_args([*words[1:], *self._seed, *self._jobs])
        args.run(args)


# -- What is asked, before anything is computed ---


def _checked_outputs(args: argparse.Namespace) -> dict[str, str]:
    """Where table and reports go; what cannot be written is refused."""
    from featurize.tableformat import table_kind

    if is_streamed(args.output):
        hint = "give the name of a file: its table and its reports lie beside it"
        raise OptionsError(f"-o {args.output} is no file", hint)
    start = os.path.splitext(args.output)[0]
    report = args.report or f"{start}.html"
    stem, ending = os.path.splitext(report)
    if ending.lower() not in (".html", ".htm"):
        raise OptionsError(f"--report {report} is not the name of a page", "let it end in .html")
    places = {"table": args.table or f"{start}.fit.parquet", "report": report}
    places["comparison"] = f"{stem}.comparison{ending}"
    table_kind(places["table"])
    outputs = [(args.output, MODEL), (places["table"], TABLE), (_rejects_of(places["table"]), CSV)]
    check_outputs([*outputs, (report, PAGE), (places["comparison"], PAGE)], [args.source])
    check_model_name(args.output)
    return places


def _rejects_of(table: str) -> str:
    """Where `featurize extract` says which photos it left out."""
    return os.path.splitext(table)[0] + ".rejects.csv"


def _count_rows(path: str) -> int:
    """How many rows a CSV file has below its header."""
    from featurize.remote import path_at

    with path_at(path).open("rb") as stream:
        text = stream.read().decode("utf-8", "replace")
    return len(list(csv.reader(io.StringIO(text)))) - 1


def _specs(given: Sequence[str] | None) -> list[str]:
    """The features to compute: those given or the networks, and texture."""
    from featurize.networks.catalogue import find_network
    from featurize.networks.weights import weights_at_hand

    if given is None:
        given = [NETWORK]
        if weights_at_hand(SMALL_NETWORK, find_network(SMALL_NETWORK).download):
            given.append(SMALL_NETWORK)
    return [*given, *([] if TEXTURE in given else [TEXTURE])]


def _source_words(args: argparse.Namespace) -> list[str]:
    """The options about how photos are listed and read, as they were given."""
    words: list[str] = []
    for name in ("columns", "root", "group_by"):
        if (value := getattr(args, name)) is not None:
            words += [f"--{name.replace('_', '-')}", value]
    return words + (["--max-megapixels", f"{args.max_megapixels:g}"] if args.max_megapixels != 200 else [])


def _check_photos(args: argparse.Namespace) -> None:
    """SourceError where the photos cannot end in a model that was tested: seen before a network runs for hours."""
    from featurize.photos.scan import scan_source
    from featurize.photos.source import list_source

    listing = {"group_by": args.group_by, **manifest_options(args)}
    if "://" in args.source:  # where reading each photo twice costs most
        check_labels(list_source(args.source, **listing).images, args.source)
        return
    found = scan_source(args.source, jobs=args.jobs, max_megapixels=args.max_megapixels, **listing)
    if not found.usable:
        image, reason = next(iter(found.rejects), ("", "there is none"))
        first = f"; the first is {image}: {reason}" if image else ""
        what = f"no image in {args.source} can be used (rejected: {len(found.rejects)}{first})"
        if is_table(args.source):
            hint = f"it is a table, which has vectors: `evaluate compare {args.source}` and `classify train` take it"
            raise SourceError(what, hint)
        raise SourceError(what, f"`{command_line(['featurize', 'scan', args.source])}` lists the reasons")
    check_labels([image for image, _ in found.usable], args.source)


def check_labels(images: "Sequence[SourceImage]", source: str) -> None:
    """SourceError unless there are two labels or more, each with photos enough to train on and to test."""
    from evaluate.report.words import count, listed

    counts = Counter(image.label for image in images if image.label is not None)
    if len(counts) < 2:
        which = f"the label {next(iter(counts))} alone" if counts else "no labels"
        what = (
            f"the {count(len(images), 'photo')} in {source} {'have' if len(images) != 1 else 'has'} {which}"
        )
        raise SourceError(
            what, "give a class folder for each of two labels or more, or a manifest with a label column"
        )
    tested = {image.label for image in images if image.split == "testing"}
    if tested:
        train = Counter(image.label for image in images if image.split in ("training", "validation"))
        side, least = " to train on", LEAST - 1
        few = {name: train[name] for name in counts if train[name] < least}
    else:
        side, least = "", LEAST
        few = {name: number for name, number in counts.items() if number < least}
    if few:
        named = listed([f"{count(number, 'photo')} of {name}" for name, number in sorted(few.items())[:5]])
        more = f" and few of {len(few) - 5} more labels" if len(few) > 5 else ""
        hint = (
            f"add photos: each label needs {least}{side}, and {ENOUGH} are a start; or leave its folder out"
        )
        raise SourceError(f"there {'is' if sum(few.values()) == 1 else 'are'} {named}{more}{side}", hint)
    if warning := few_in_words(counts):
        log.warning("%s", warning)


def few_in_words(counts: Mapping[str, int]) -> str:
    """That labels have too few photos for a number to be believed, and how many; empty where they have enough."""
    few = sorted((number, name) for name, number in counts.items() if number < ENOUGH)
    if not few:
        return ""
    number, name = few[0]
    which = f"{name} has" if len(few) == 1 else f"{len(few)} labels have"
    fewest = str(number) if len(few) == 1 else f"{number} of {name}"
    return f"{which} fewer than {ENOUGH} photos ({fewest}): too few to say how good a model is"


# -- Who is tested, and what is compared ---


def _divided(
    table: "FeatureTable", args: argparse.Namespace, commands: Commands, path: str
) -> tuple["FeatureTable", dict[str, Any]]:
    """The table with its split, written to `path` where it is new, and how to compare: folds and near-duplicates."""
    import numpy as np

    from evaluate.splits.split import SIDES, split_table

    given = "testing" in table.split
    if not given:
        if any(side is not None for side in table.split):
            log.warning(
                "no photos are set aside for testing: of all, those for validation too, %d %% are set aside anew; to "
                "test on those for validation, call their folder test",
                TESTED,
            )
        table, together = _near_duplicates_together(table, LEAST)
        _check_groups(table.filter(table.label != None), LEAST)  # noqa: E711
        words = [path, "--testing-percentage", str(TESTED), "--validation-percentage", "0", "-o", path]
        commands.add("evaluate", "split", *words, *["--group-duplicates"] * together)
        table = split_table(table, testing_percentage=TESTED, validation_percentage=0, seed=args.seed)
        table.write(path)
    rows = np.isin(table.split.astype(str), SIDES[:2]) & (table.label != None)  # noqa: E711
    training, together = table.filter(rows), False
    if given:
        training, together = _near_duplicates_together(training, LEAST - 1)
    n_groups = _check_groups(training, LEAST - 1)
    return table, {"cv": min(FOLDS, n_groups), "group_duplicates": together}


def _check_groups(table: "FeatureTable", least: int) -> int:
    """In how many groups the label with the fewest stands; UsageError below `least`."""
    from classify.folds import fewest_groups

    name, number = fewest_groups(table.label, table.groups, table.variant)
    if number < least:
        together = "one group" if number == 1 else f"{number} groups"
        what = (
            f"the photos of {name} are in {together}: what is given as one, or nearly the same, is not parted"
        )
        hint = f"add other photos of it, so that there are {least} groups or more, or leave its folder out"
        raise UsageError(what, hint)
    return number


def _near_duplicates_together(table: "FeatureTable", least: int) -> tuple["FeatureTable", bool]:
    """The table with near-duplicates in one group, where that is known and leaves each label `least` groups."""
    from classify.folds import fewest_groups
    from evaluate.checks.leakage import find_near_duplicates

    try:
        grouped = find_near_duplicates(table, True)[1]
    except UsageError as error:
        log.warning("near-duplicates are not kept together: %s", error.args[0])
        return table, False
    rows = grouped.filter(grouped.label != None)  # noqa: E711
    name, number = fewest_groups(rows.label, rows.groups, rows.variant)
    if number < least:
        log.warning(
            "near-duplicates are not kept together: the photos of %s would then be in %d of %d groups that are needed",
            *(name, number, least),
        )
        return table, False
    return grouped, True


def _candidates(table: "FeatureTable") -> list[str]:
    """Each column that is there to be learnt, networks together, and all together; nothing twice."""
    from classify.rows import default_features

    columns = default_features(table)
    networks = [name for name in columns if table.metadata["features"][name].get("weights")]
    joined = ["+".join(names) for names in (networks, columns) if len(names) > 1]
    return list(dict.fromkeys([*columns, *joined]))


# -- What is told ---


def summary_lines(
    found: "Comparison", tested: "TestResult", model: str, places: dict[str, str], n_rejects: int
) -> Iterator[str]:
    """How good the model is, against guessing and against texture, and what to do next."""
    from evaluate.report.score_sentences import (
        MANY_SUSPECTS,
        commonest_label,
        labels_in_words,
        no_better_than_guessing,
    )
    from evaluate.report.words import agree, count, interval_in_words, sentence

    best, scores = found.results[0], tested.scores
    n_tested, accuracy = len(tested.table), scores.accuracy_interval
    unseen = scores.unseen
    yield (
        f"{best.head} on {best.features} is right on {interval_in_words(accuracy)} of {count(n_tested, 'photo')} that "
        "were set aside (95 % interval)."
    )
    if unseen is not None:
        yield (
            f"On the {unseen.images} of them that it had not seen in training, nor nearly, on "
            f"{interval_in_words(unseen.accuracy_interval)}; believe these."
        )
    label, share = commonest_label(scores.per_label)
    guessing = no_better_than_guessing(scores, accuracy, "The model")
    alike = sum(one.support == scores.per_label[label].support for one in scores.per_label.values()) > 1
    guess = "one and the same label" if alike else label
    yield guessing or f"Guessing, always {guess}, would be right on {100 * share:.1f} %."
    against = [
        pair for pair in found.comparisons if pair.compares == "features" and pair.other.features == TEXTURE
    ]
    for pair in against:
        how = f"in {found.folds.cv} folds of the {found.folds.tested} photos to train on"
        yield f"Against texture, {how}: {sentence(pair.words)}"
    if best.features == TEXTURE and len({row.features for row in found.results}) > 1:
        yield "Texture alone did best: nothing else was better on the photos to train on."
    yield from labels_in_words(scores.per_label, tested.details.confusion)[1:]
    photos = Counter(found.data.labels) + Counter(tested.data.labels)
    few = few_in_words(photos)
    left_out = f"{count(n_rejects, 'photo')} {agree(n_rejects, 'was', 'were')} left out" if n_rejects else ""
    of_fit = [few, f"{left_out} of all this: {places['rejects']} says why" if n_rejects else ""]
    for warning in dict.fromkeys(filter(None, [*of_fit, *found.warnings, *tested.warnings])):
        yield f"warning: {warning}"
    yield ""
    yield "What to do next:"
    wrong, suspects = len(tested.details.misclassified), len(found.best.label_suspects)
    if n_rejects:
        yield f"  see why {left_out}, mend or delete {agree(n_rejects, 'it', 'them')}: {places['rejects']}"
    if wrong:
        yield f"  look at the {count(wrong, 'photo')} that it got wrong: {places['report']}"
    if 0 < suspects <= MANY_SUSPECTS * found.folds.tested:  # of more, the head is to blame
        yield f"  {count(suspects, 'label')} may be wrong, have a look: {places['comparison']}"
    if against and against[0].verdict not in ("beats", "ahead"):
        yield "  these photos cannot tell it from texture: more of them would show whether a network is worth its time"
    if guessing:
        yield "  give more photos of each label, or labels that can be told apart in the photos"
    curve = ["evaluate", "curve", places["table"], "--features", best.features, "--head", best.head]
    narrow = " (they also narrow the interval)" if accuracy.high - accuracy.low > WIDE else ""
    yield f"  would more photos help{narrow}? {command_line(curve)}"
    use = "use it"
    if few or guessing:
        use = f"try it, but do not rely on it, since it {'has seen too few photos' if few else 'may only guess'}"
    yield f"  {use}: {command_line(['classify', 'predict', model])} PHOTO.jpg"
