"""The command ``evaluate``: split, compare, curve, test, duplicates, map."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from classify.prediction.options import add_labels_option, add_trust
from evaluate.options import add_outputs, add_table, add_title, check_output_options, write_outputs
from evaluate.split_command import add_split
from featurize.commands import OptionsError, add_command, add_excel, new_parser, run_told_command
from featurize.outputs import TABLE, where_written
from featurize.terminal import log

DESCRIPTION = "What may be believed: set photos aside, compare features and heads, test a model."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 a known error, 2 usage."""
    return run_told_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = new_parser(
        "evaluate", DESCRIPTION, "evaluate compare flowers.parquet --heads softmax svm --report report.html"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (add_split, _add_compare, _add_curve, _add_test, _add_duplicates, _add_map):
        add(commands)
    return parser


def _add_folds_and_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cv", type=int, default=5, metavar="K", help="number of folds (default: 5)")
    text = "divide anew N times (default: 1)"
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help=text)
    text = "CSV with the columns label,new_label, a line for every label of the table; an empty new_label drops it"
    parser.add_argument("--relabel", metavar="MAP", help=text)
    add_labels_option(parser)


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


def _add_compare(commands: Any) -> None:
    summary = "Cross-validate heads on features over the same folds, and say which is better by how much."
    example = (
        "evaluate compare flowers.parquet --features inception_v3 texture inception_v3+texture --heads softmax svm mlp "
        "--cv 5 --report report.html --json report.json"
    )
    compare = add_command(commands, "compare", _compare, summary, example)
    add_table(compare)
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
    text = "keep near-identical photos together too (--report and --json tell the best accuracy with and without that)"
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
    add_outputs(compare)


def _add_test(commands: Any) -> None:
    summary = "Try a model on a test set: accuracy, confusion, scores by label, misclassified photos."
    example = "evaluate test flowers.model new-photos.parquet --report test.html"
    test = add_command(commands, "test", _test, summary, example)
    test.add_argument("model", metavar="MODEL", help="a model that `classify train` wrote")
    add_table(test, "a .parquet or .npz table with the model's features")
    add_trust(test, "the model may consist of")
    text = (
        "the table that the model was trained on: test photos that are nearly one of it are counted "
        "(default: compare with the training vectors that the model keeps)"
    )
    test.add_argument("--training", metavar="TABLE", help=text)
    add_labels_option(test)
    _add_scores(test)
    add_outputs(test)


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
    from evaluate.studies.separate_test_table import names_before
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
    add_table(curve)
    text = "a column of the table, or several joined with + (default: all columns together)"
    curve.add_argument("--features", metavar="SPEC", help=text)
    text = "a head, such as svm:C=10 (default: softmax)"
    curve.add_argument("--head", default="softmax", metavar="SPEC", help=text)
    text = "images per label (default: 5, 10, 20, ... up to all there are)"
    curve.add_argument("--sizes", type=int, nargs="+", metavar="N", help=text)
    _add_folds_and_labels(curve)
    add_outputs(curve)


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
    add_table(duplicates)
    text = "whose vectors are compared (default: the widest of a trained network, else phash, the perceptual hashes)"
    duplicates.add_argument("--features", metavar="SPEC", help=text)
    text = (
        "similarity from which two photos count as the same picture: cosine of vectors (default: by how alike the "
        "network's vectors usually are, 0.97 for Inception v3), or share of equal bits of phash (default: 0.84)"
    )
    duplicates.add_argument("--threshold", type=float, metavar="S", help=text)
    text = "write the table with the photos of every pair in one group, so that no split parts them"
    duplicates.add_argument("--group-duplicates", metavar="TABLE", help=text)
    add_outputs(duplicates)


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
    add_table(parser)
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
    add_title(parser, "page")


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
    found.command, found.title, found.author = args.command_line, args.title or "", args.author or ""
    found.write(args.output, args.images)
    log.info("wrote %s", where_written(args.output))
    if args.figures:
        write_drawings({"map": map_drawing(found)}, args.figures)
    print(found)
    return 0
