"""The command ``evaluate``: split, compare, curve, test, duplicates, map."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from classify.prediction.options import add_labels_option, add_trust
from featurize.errors import UsageError, without_credentials
from featurize.outputs import (
    CSV,
    FIGURE,
    JSON,
    PAGE,
    TABLE,
    check_folder,
    check_outputs,
    check_page_name,
    same_file,
    where_written,
    whole_file,
)
from featurize.remote import path_at
from featurize.terminal import OptionsError, add_command, add_excel, check_excel, log, new_parser, run_command

# Options and arguments that name files to read.
INPUTS = ("model", "table", "relabel", "labels", "superclass", "taxonomy", "folds", "training", "test")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """The options of every command that makes a report."""
    text = "write a report for people, one self-contained file"
    parser.add_argument("--report", metavar="FILE.html", help=text)
    parser.add_argument("--json", metavar="FILE.json", help="write the same content for programs")
    text = "write each drawing as PNG (300 dpi), PDF and SVG for a paper's column into a folder, made if it is missing"
    parser.add_argument("--figures", metavar="DIR", help=text)
    text = "where the report finds the photos, if they have moved"
    parser.add_argument("--images", metavar="DIR", help=text)
    parser.add_argument("--title", metavar="TITLE", help="the title of the report")
    parser.add_argument(
        "--author", metavar="NAME", help="who stands below the title of the report, beside the date"
    )


def _add_scores(parser: argparse.ArgumentParser) -> None:
    """The options of `compare` and `test` about what is scored and printed."""
    text = "of two labels the one to be found: adds sensitivity and specificity"
    parser.add_argument("--positive", metavar="LABEL", help=text)
    text = "CSV with the columns label,superclass: counts the errors inside a super-class and across"
    parser.add_argument("--superclass", metavar="MAP", help=text)
    text = (
        "CSV with the columns label,parent and one more for each level up: scores level by level, and answers that "
        "stay general (default of test: the tree of the model)"
    )
    parser.add_argument("--taxonomy", metavar="MAP", help=text)
    text = "print every misclassified image, most confident first"
    parser.add_argument("--misclassified", action="store_true", help=text)
    text = (
        "also score one prediction per group (patient, part, plant) of the table, from those of its photos: the mean "
        "of their probabilities, the highest (of --positive, else of each label), or the label of most of them"
    )
    parser.add_argument("--per-group", choices=("mean", "max", "vote"), help=text)
    text = "write every prediction behind the scores: image, label, predicted, probabilities, fold, group and more"
    parser.add_argument("--predictions", metavar="FILE.csv|.parquet", help=text)
    add_excel(parser)


def write_outputs(found: Any, args: argparse.Namespace) -> int:
    """The files where they are wanted, then the text to stdout: a reader that leaves early costs no file."""
    from evaluate.report.html import write_report
    from evaluate.report.plots import write_figures
    from evaluate.report.text import mistakes_as_text, test_as_text
    from evaluate.results import TestRecord

    found.command, found.title, found.author = args.command_line, args.title or "", args.author or ""
    text = str(found)
    if getattr(args, "misclassified", False):
        if isinstance(found, TestRecord):  # whose text has a list of its own, of the most confident
            text = test_as_text(found, shown_mistakes=0)
        text += f"\n\n{mistakes_as_text(found)}"
    if args.json:
        with whole_file(args.json, JSON) as partial:
            content = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
            partial.write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
        log.info("wrote %s", where_written(args.json))
    if getattr(args, "predictions", None):
        found.predictions.write(args.predictions, args.excel)
        log.info("wrote %s", where_written(args.predictions))
    if args.report:
        write_report(found, args.report, args.images)
        log.info("wrote %s", where_written(args.report))
    if args.figures:
        write_figures(found, args.figures)
    print(text)
    return 0


def check_output_options(
    args: argparse.Namespace, kind: str, *more: tuple[str | None, str], page_option: str = "--report"
) -> None:
    """Refuse outputs and ``--images`` that could not be served: those of a `kind` of result, and `more` files.

    No two of them may be one file, nor one of the files that the command reads.
    """
    refuse_foreign_evaluate()
    for option, shows in (
        ("images", "shows photos"),
        ("title", "has a title"),
        ("author", "names an author"),
    ):
        if getattr(args, option, None) and not args.report:
            raise OptionsError(
                f"--{option} was given without --report", f"add --report FILE.html; only the report {shows}"
            )
    if args.images and not path_at(args.images).is_dir():
        raise UsageError(
            f"there is no folder {args.images}", "give the folder that the names of the images start from"
        )
    if getattr(args, "predictions", None):
        from evaluate.scores.crossval import predictions_kind

        more = (*more, (args.predictions, predictions_kind(args.predictions)))
    check_excel(args, any(kind == CSV for _, kind in more))
    if args.figures:
        from evaluate.report.plots import figure_files

        check_folder(args.figures, figure_files(kind), FIGURE)
    inputs = [getattr(args, name, None) for name in INPUTS]
    check_outputs([(args.report, PAGE), (args.json, JSON), *more], inputs)
    check_page_name(args.report, page_option)


def refuse_foreign_evaluate() -> None:
    """Hugging Face's package has the same import name; installed later, its files lie over ours."""
    package = sys.modules["evaluate"]
    if "split_table" not in getattr(package, "__all__", ()):
        raise UsageError(
            f"the package evaluate in {Path(str(package.__file__)).parent} is not bottlehead's; Hugging Face's "
            "evaluate has the same name",
            "use an environment of its own: python3 -m venv .venv && .venv/bin/pip install bottlehead",
        )


DESCRIPTION = "What may be believed: set photos aside, compare features and heads, test a model."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 a known error, 2 usage."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    parser.set_defaults(command_line=without_credentials(shlex.join(["evaluate", *given])))
    return run_command(parser, given)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = new_parser(
        "evaluate", DESCRIPTION, "evaluate compare flowers.parquet --heads softmax svm --report report.html"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_split, _add_compare, _add_curve, _add_test, _add_duplicates, _add_map):
        add(commands)
    return parser


def _add_table(parser: argparse.ArgumentParser, what: str = "a .parquet or .npz table of features") -> None:
    parser.add_argument("table", metavar="TABLE", help=what)


def _add_folds_and_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cv", type=int, default=5, metavar="K", help="number of folds (default: 5)")
    text = "divide anew N times (default: 1)"
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help=text)
    text = "CSV with the columns label,new_label, a line for every label of the table; an empty new_label drops it"
    parser.add_argument("--relabel", metavar="MAP", help=text)
    add_labels_option(parser)


def _add_compare(commands: Any) -> None:
    summary = "Cross-validate heads on features over the same folds, and say which is better by how much."
    example = (
        "evaluate compare flowers.parquet --features inception_v3 texture inception_v3+texture --heads softmax svm mlp "
        "--cv 5 --report report.html --json report.json"
    )
    compare = add_command(commands, "compare", _compare, summary, example)
    _add_table(compare)
    text = (
        "columns of the table, or several joined with + (default: every column but nuisance and region=border, "
        "and all of them together)"
    )
    compare.add_argument("--features", nargs="+", metavar="SPEC", help=text)
    text = "heads by name, such as svm or svm:C=10 (default: softmax svm mlp)"
    compare.add_argument("--heads", nargs="+", default=["softmax", "svm", "mlp"], metavar="SPEC", help=text)
    _add_folds_and_labels(compare)
    text = (
        "stratified (default): --cv folds, --repeats times, every label in the same proportions and groups "
        "together; leave-one-group-out: every given group is tested once; predefined: train on the training rows "
        "of the table's split, test on its validation rows; or a file that `evaluate split -o FOLDS.csv` wrote, of "
        "whose sides validation is tested"
    )
    compare.add_argument("--folds", default="stratified", metavar="F", help=text)
    text = "keep near-identical photos together too (the best accuracy is printed with and without that)"
    compare.add_argument("--group-duplicates", action="store_true", help=text)
    text = (
        "train on all of the first table and test on this one (its testing rows, where it has a split), instead "
        "of folds"
    )
    compare.add_argument("--test", metavar="TABLE", help=text)
    text = "every label counts the same (class_weight=balanced for each head)"
    compare.add_argument("--balanced", action="store_true", help=text)
    text = "search each head's parameters within each training side (`classify heads` lists the grids)"
    compare.add_argument("--tune", action="store_true", help=text)
    text = "score to optimise: log-loss (default) or accuracy; implies --tune"
    compare.add_argument("--tune-by", choices=("log-loss", "accuracy"), help=text)
    text = "a difference of so many accuracy points is practically none (default: 1)"
    compare.add_argument("--rope", type=float, default=1.0, metavar="POINTS", help=text)
    text = "with --taxonomy: the share of answers that shall be right (default: 0.95)"
    compare.add_argument("--answer-accuracy", type=float, metavar="A", help=text)
    text = "also measure the best pair on ever fewer images per label, and guess what more would bring"
    compare.add_argument("--curve", action="store_true", help=text)
    _add_scores(compare)
    _add_outputs(compare)


def _add_test(commands: Any) -> None:
    summary = "Try a model on a test set: accuracy, confusion, scores by label, misclassified photos."
    example = "evaluate test flowers.model new-photos.parquet --report test.html"
    test = add_command(commands, "test", _test, summary, example)
    test.add_argument("model", metavar="MODEL", help="a model that `classify train` wrote")
    _add_table(test, "a .parquet or .npz table with the model's features")
    add_trust(test, "the model may consist of")
    text = (
        "the table that the model was trained on: test photos that are nearly one of it are counted "
        "(default: compare with the training vectors that the model keeps)"
    )
    test.add_argument("--training", metavar="TABLE", help=text)
    add_labels_option(test)
    _add_scores(test)
    _add_outputs(test)


def _compare(args: argparse.Namespace) -> int:
    from classify.heads.spec import HeadSpec
    from classify.rows import read_relabel
    from classify.taxonomy import read_taxonomy
    from evaluate.scores.mistakes import read_superclasses
    from evaluate.studies.compare import compare

    check_output_options(args, "comparison")
    if args.answer_accuracy is not None and not args.taxonomy:
        hint = "add --taxonomy MAP.csv, which says what is a kind of what"
        raise OptionsError("--answer-accuracy was given without --taxonomy", hint)
    if args.test and args.folds != "stratified":
        raise OptionsError(
            "--test was given with --folds, which divide one table", "leave one of the two out"
        )
    if (args.test or args.folds != "stratified") and (args.cv, args.repeats) != (5, 1):
        what = "--test" if args.test else f"--folds {args.folds}"
        raise OptionsError(
            f"{what} was given with --cv or --repeats, which would have no effect",
            "leave them out: they are for stratified folds",
        )
    balanced = {"class_weight": "balanced"} if args.balanced else {}
    table, test = _read_tables(args, args.table, args.test)
    found = compare(
        table,
        args.features,
        [str(HeadSpec.parse(head).with_params(balanced)) for head in args.heads],
        tune=args.tune_by or ("log-loss" if args.tune else None),
        relabel=_if_given(read_relabel, args.relabel),
        superclasses=_if_given(read_superclasses, args.superclass),
        taxonomy=_if_given(read_taxonomy, args.taxonomy),
        answer_accuracy=0.95 if args.answer_accuracy is None else args.answer_accuracy,
        test=test,
        **_named(
            args,
            *("cv", "repeats", "seed", "jobs", "positive", "rope", "folds", "group_duplicates", "curve"),
            "per_group",
        ),
    )
    return write_outputs(found, args)


def _read_tables(args: argparse.Namespace, *paths: str | None) -> list[Any]:
    """The tables in the files, None where there is no path, with the labels of ``--labels``."""
    from classify.labels import correct_tables, read_labels
    from evaluate.studies.compare import names_before
    from featurize.table import FeatureTable

    corrections = _if_given(read_labels, args.labels)
    tables = [FeatureTable.read(path) for path in paths if path]
    if corrections is not None:
        prefixes = [names_before(table) if number else "" for number, table in enumerate(tables)]
        tables = correct_tables(tables, corrections, prefixes)
    return tables + [None] * (len(paths) - len(tables))


def _if_given(read: Callable[[str], Any], path: str | None) -> Any:
    return read(path) if path else None


def _named(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options that a function takes under their own names."""
    return {name: getattr(args, name) for name in names}


def _test(args: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from classify.model.modelfile import load_model
    from classify.taxonomy import read_taxonomy
    from evaluate.scores.mistakes import read_superclasses
    from evaluate.studies.testing import test

    check_output_options(args, "test")
    table, training = _read_tables(args, args.table, args.training)
    with threadpool_limits(args.jobs):
        found = test(
            load_model(args.model, trust=args.trust),
            table,
            positive=args.positive,
            superclasses=_if_given(read_superclasses, args.superclass),
            taxonomy=_if_given(read_taxonomy, args.taxonomy),
            training=training,
            per_group=args.per_group,
        )
    return write_outputs(found, args)


def _add_curve(commands: Any) -> None:
    summary = "Accuracy against images per label, overall and by label, and a guess of what more photos would bring."
    example = "evaluate curve flowers.parquet --features inception_v3 --head softmax --report curve.html"
    curve = add_command(commands, "curve", _curve, summary, example)
    _add_table(curve)
    text = "a column of the table, or several joined with + (default: all columns together)"
    curve.add_argument("--features", metavar="SPEC", help=text)
    text = "a head, such as svm:C=10 (default: softmax)"
    curve.add_argument("--head", default="softmax", metavar="SPEC", help=text)
    text = "images per label (default: 5, 10, 20, ... up to all there are)"
    curve.add_argument("--sizes", type=int, nargs="+", metavar="N", help=text)
    _add_folds_and_labels(curve)
    _add_outputs(curve)


def _curve(args: argparse.Namespace) -> int:
    from classify.rows import read_relabel
    from evaluate.studies.curve import learning_curve

    check_output_options(args, "curve")
    (table,) = _read_tables(args, args.table)
    found = learning_curve(
        table,
        args.features,
        args.head,
        relabel=_if_given(read_relabel, args.relabel),
        **_named(args, "sizes", "cv", "repeats", "seed", "jobs"),
    )
    return write_outputs(found, args)


def _add_duplicates(commands: Any) -> None:
    summary = "Find byte-identical and near-identical photos, and those of them that carry different labels."
    example = (
        "evaluate duplicates flowers.parquet --report duplicates.html\n"
        "evaluate duplicates flowers.parquet --group-duplicates grouped.parquet"
    )
    duplicates = add_command(commands, "duplicates", _duplicates, summary, example)
    _add_table(duplicates)
    text = "whose vectors are compared (default: the widest of a trained network, else phash, the perceptual hashes)"
    duplicates.add_argument("--features", metavar="SPEC", help=text)
    text = (
        "similarity from which two photos count as the same picture: cosine of vectors (default: by how alike the "
        "network's vectors usually are, 0.97 for Inception v3), or share of equal bits of phash (default: 0.84)"
    )
    duplicates.add_argument("--threshold", type=float, metavar="S", help=text)
    text = "write the table with the photos of every pair in one group, so that no split parts them"
    duplicates.add_argument("--group-duplicates", metavar="TABLE", help=text)
    _add_outputs(duplicates)


def _duplicates(args: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from evaluate.checks.duplicates import find_duplicates, group_duplicates
    from featurize.table import FeatureTable
    from featurize.tableformat import table_kind

    check_output_options(args, "duplicates", (args.group_duplicates, TABLE))
    if args.group_duplicates:
        table_kind(args.group_duplicates)
    table = FeatureTable.read(args.table)
    with threadpool_limits(args.jobs):
        found = find_duplicates(table, args.features, args.threshold)
    if args.group_duplicates:
        grouped = group_duplicates(table, found.rows)
        grouped.write(args.group_duplicates)
        log.info("wrote %s", where_written(args.group_duplicates))
    return write_outputs(found, args)


def _add_map(commands: Any) -> None:
    summary = "Lay the photos out by their vectors, similar ones near each other: one page to look at them."
    example = "evaluate map flowers.parquet --model flowers.model -o map.html"
    parser = add_command(commands, "map", _map, summary, example)
    _add_table(parser)
    text = "the page to write, one self-contained file"
    parser.add_argument("-o", "--output", required=True, metavar="FILE.html", help=text)
    text = "a model that `classify train` wrote: marks what it gets wrong"
    parser.add_argument("--model", metavar="MODEL", help=text)
    add_trust(parser, "the model may consist of")
    text = (
        "whose vectors are laid out: a column, or several joined with + (default: those of the model, else the widest "
        "column of a trained network)"
    )
    parser.add_argument("--features", metavar="SPEC", help=text)
    text = "write the map as PNG (300 dpi), PDF and SVG for a paper's column into a folder, made if it is missing"
    parser.add_argument("--figures", metavar="DIR", help=text)
    text = "where the page finds the photos, if they have moved"
    parser.add_argument("--images", metavar="DIR", help=text)


def _map(args: argparse.Namespace) -> int:
    from classify.model.modelfile import load_model
    from evaluate.report.drawing import write_drawings
    from evaluate.report.figures import map_drawing
    from evaluate.studies.map import map_photos
    from featurize.table import FeatureTable

    args.report, args.json = args.output, None
    check_output_options(args, "map", page_option="-o")
    model = load_model(args.model, trust=args.trust) if args.model else None
    found = map_photos(FeatureTable.read(args.table), args.features, model, seed=args.seed)
    found.command = args.command_line
    found.write(args.output, args.images)
    log.info("wrote %s", where_written(args.output))
    if args.figures:
        write_drawings({"map": map_drawing(found)}, args.figures)
    print(found)
    return 0


def _add_split(commands: Any) -> None:
    split = add_command(
        commands,
        "split",
        _split,
        "Set rows aside for testing and validation: fill the split column of a table, or write a folds file.",
        "evaluate split flowers.parquet --testing-percentage 20 -o divided.parquet\n"
        "evaluate split flowers.parquet --cv 5 -o folds.csv",
    )
    _add_table(split)
    text = (
        "stratified: every label in the same proportions, groups together (default); group: whole groups, "
        "whatever their labels; hash: by the name, as retrain.py did, stable as the set grows; for a folds file "
        "also leave-one-group-out, and predefined: the split that the table has"
    )
    split.add_argument(
        "--method",
        choices=("stratified", "hash", "group", "leave-one-group-out", "predefined"),
        default="stratified",
        help=text,
    )
    for side in ("testing", "validation"):
        text = f"share for {side} (default: 10)"
        split.add_argument(f"--{side}-percentage", type=float, metavar="P", help=text)
    text = (
        "with hash: the name as the table has it (default), the bare file name, or the path as it was typed "
        "to retrain.py, which needs --folder"
    )
    split.add_argument("--name", choices=("image", "file", "path"), default="image", help=text)
    text = "with --name path: the folder of class folders as it was typed"
    split.add_argument("--folder", metavar="DIR", help=text)
    text = "with hash: images that belong together go to one side, training before validation before testing"
    split.add_argument("--keep-together", action="store_true", help=text)
    text = "put near-identical photos into one group first, so that no side or fold parts them"
    split.add_argument("--group-duplicates", action="store_true", help=text)
    text = "divide into K folds (stratified, groups together) instead of sides; -o is then a folds file"
    split.add_argument("--cv", type=int, metavar="K", help=text)
    text = "with --cv: divide anew N times (default: 1)"
    split.add_argument("--repeats", type=int, default=1, metavar="N", help=text)
    text = "take the sides from this folds file instead of making them"
    split.add_argument("--folds", metavar="FOLDS.csv", help=text)
    text = (
        "a table (.parquet or .npz), or a folds file (.csv with the columns sha256,fold, with --repeats "
        "sha256,repeat,fold), by which others repeat the same division after photos were renamed or added"
    )
    split.add_argument("-o", "--output", required=True, metavar="FILE", help=text)
    add_excel(split)


def _split(args: argparse.Namespace) -> int:
    from evaluate.report.text import split_as_text
    from evaluate.splits.checked_folds import write_folds
    from evaluate.splits.split import crossing_images
    from featurize.table import FeatureTable
    from featurize.tableformat import table_kind

    refuse_foreign_evaluate()
    _check_options(args)
    as_folds = args.output.lower().endswith(".csv")
    check_excel(args, as_folds)
    if not as_folds:
        table_kind(args.output)
    check_outputs(
        [(args.output, CSV if as_folds else TABLE)], [args.folds, args.table] if as_folds else [args.folds]
    )
    given = FeatureTable.read(args.table)
    if args.group_duplicates:
        given = _near_duplicates_grouped(given, args.jobs)
    if args.cv or args.method == "leave-one-group-out":
        return _write_numbered(args, given)
    n_split = sum(side is not None for side in given.split)
    if n_split and not as_folds:
        log.warning("this replaces the split of %d rows", n_split)
    table = _divided(args, given)
    crossing = crossing_images(table)
    if crossing:
        log.warning(
            "%d images belong together with one on another side (identical files or one group); --keep-together "
            "moves them, and the methods stratified and group never part them",
            crossing,
        )
    if as_folds:
        photos = table.filter(table.variant == 0)
        write_folds(args.output, photos, photos.split, excel=args.excel)
    else:
        if same_file(args.output, args.table):
            log.warning("%s is the table that was read; it now has this split", args.output)
        table.write(args.output)
    log.info("wrote %s", where_written(args.output))
    print(split_as_text(table))
    return 0


def _near_duplicates_grouped(table: Any, jobs: int | None) -> Any:
    from threadpoolctl import threadpool_limits

    from evaluate.checks.leakage import find_near_duplicates

    with threadpool_limits(jobs):
        return find_near_duplicates(table, True)[1]


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that would have no effect, and a file of the wrong kind."""
    numbered = args.cv is not None or args.method == "leave-one-group-out"
    sides_given = args.folds is not None or args.method == "predefined"
    shares = args.testing_percentage is not None or args.validation_percentage is not None
    hashed = args.method == "hash"
    if (numbered or args.method == "predefined") and not args.output.lower().endswith(".csv"):
        what = f"--cv {args.cv}" if args.cv is not None else f"--method {args.method}"
        raise OptionsError(
            f"{what} makes folds, and {args.output} is no folds file by its name", "write -o FOLDS.csv"
        )
    clashes = {
        "--repeats without --cv": args.repeats != 1 and args.cv is None,
        "--cv and --folds": args.cv is not None and args.folds is not None,
        f"--cv and --method {args.method}": args.cv is not None
        and args.method not in ("stratified", "group"),
        f"--folds and --method {args.method}": args.folds is not None and args.method != "stratified",
        "percentages and folds or a split that is there": shares and (numbered or sides_given),
        f"--name, --folder or --keep-together and --method {args.method}": args.method != "hash"
        and (args.name != "image" or args.folder is not None or args.keep_together),
        "--group-duplicates and a division that does not ask for groups": args.group_duplicates
        and (sides_given or args.method == "leave-one-group-out" or (hashed and not args.keep_together)),
    }
    for what, clash in clashes.items():
        if clash:
            together = "was given" if " without " in what else "were given together"
            raise OptionsError(f"{what} {together}", "leave one out: it would have no effect")


def _divided(args: argparse.Namespace, given: Any) -> Any:
    """The table with its split: from a folds file, as it is, or made."""
    from evaluate.splits.checked_folds import side_of_rows
    from evaluate.splits.split import split_table

    if args.folds is not None:
        return given.with_column("split", side_of_rows(args.folds, given))
    if args.method == "predefined":
        if all(side is None for side in given.split):
            raise UsageError(
                f"none of the {len(given)} rows of the table has a split",
                "give a table with one (a manifest with a split column, or `evaluate split`), or another method",
            )
        return given
    testing, validation = (
        10 if share is None else share for share in (args.testing_percentage, args.validation_percentage)
    )
    how = {"name": args.name, "folder": args.folder, "keep_together": args.keep_together}
    return split_table(given, args.method, testing, validation, args.seed, **how)


def _write_numbered(args: argparse.Namespace, given: Any) -> int:
    from classify.rows import usable_rows
    from evaluate.report.text import folds_as_text
    from evaluate.splits.checked_folds import fold_of_rows, folds_for, write_folds

    table = usable_rows(given, "split")
    method = "leave-one-group-out" if args.method == "leave-one-group-out" else "stratified"
    folds, _ = folds_for(table, method, cv=args.cv or 5, repeats=args.repeats, seed=args.seed)
    repeats = [fold_of_rows(folds, len(table), repeat) for repeat in range(args.repeats)]
    write_folds(args.output, table, *repeats, excel=args.excel)
    log.info("wrote %s", where_written(args.output))
    if args.repeats > 1:
        log.info("the first of %d repeats:", args.repeats)
    print(folds_as_text(table, repeats[0]))
    return 0
