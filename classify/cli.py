"""The command ``classify``: train, predict, neighbours, show, import-graph, heads; its other files list theirs."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from classify.export.command import add_export
from classify.prediction.options import (
    add_labels_option,
    add_model,
    add_places,
    add_trust,
    count_from,
    weights_given,
)
from classify.serving.command import add_serve
from classify.suggest.command import add_suggest
from classify.watch.command import add_watch
from featurize.commands import (
    OptionsError,
    add_command,
    add_excel,
    check_excel,
    key_values,
    new_parser,
    run_command,
)
from featurize.options import (
    add_graph_options,
    add_manifest_options,
    add_max_megapixels,
    graph_options,
    manifest_options,
)
from featurize.outputs import (
    CSV,
    JSON_LINES,
    MODEL,
    PREDICTIONS,
    TABLE,
    TEXT,
    check_model_name,
    check_outputs,
    where_written,
    whole_file,
)
from featurize.remote import path_at
from featurize.terminal import log

if TYPE_CHECKING:
    from classify.heads.spec import HeadSpec
    from classify.model.model import Model
    from classify.prediction.predictions import Predictions

FORMATS = ("text", "csv", "jsonl")
WRITTEN = {"text": TEXT, "csv": CSV, "jsonl": JSON_LINES, "parquet": PREDICTIONS}
# The options that need --steps, with the fields of `classify.heads.steps.StepPlan` that they fill.
STEP_OPTIONS = {
    "learning_rate": (float, "R", "how far a step goes (default: 0.01 for softmax, 0.001 for mlp)"),
    "batch_size": (int, "N", "photos per step, from labels drawn equally often (default: 100)"),
    "validation_batch_size": (int, "N", "photos for each validation accuracy, -1 for all (default: 100)"),
    "eval_interval": (int, "N", "steps between two evaluations (default: 10)"),
    "save_every": (int, "N", "keep the best so far as MODEL.stepN every N steps (default: never)"),
    "summaries": (str, "DIR", "write event files for TensorBoard there"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 done, 1 a known error, 2 usage."""
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The command line, without running anything."""
    summary = "Train scikit-learn heads on vectors, and use them on photos."
    example = "classify train flowers.parquet -o flowers.model\nclassify predict flowers.model photo.jpg"
    parser = new_parser("classify", summary, example)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_predict(commands)
    _add_neighbours(commands)
    add_serve(commands)
    summary = (
        "Print the model card: labels, features, weights, training; of an export, what it takes and gives."
    )
    show = add_command(commands, "show", _show, summary, "classify show flowers.model")
    show.add_argument("model", metavar="MODEL", help="a model, or what `classify export` wrote")
    add_trust(show, "the model may consist of")
    _add_import_graph(commands)
    add_trust(add_export(commands), "the model may consist of")
    _add_labels(commands)
    add_suggest(commands)
    add_watch(commands)
    summary = "List the heads by name, with their defaults and search grids."
    add_command(commands, "heads", _heads, summary, "classify heads")
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help="where to write the model")


def _add_train(commands: Any) -> None:
    summary = "Train a head on the vectors of a table, and keep it as a model."
    example = (
        "classify train flowers.parquet -o flowers.model --head svm:C=10 --features inception_v3+texture\n"
        "classify train fire.parquet -o fire.model --tune --positive fire --threshold recall=0.95\n"
        "classify train roses.parquet -o roses.model --taxonomy map.csv --answer-accuracy 0.95\n"
        "classify train flowers.parquet -o flowers.model --steps 4000 --summaries logs"
    )
    parser = add_command(commands, "train", _train, summary, example)
    option = parser.add_argument
    option("table", metavar="TABLE", help="a .parquet or .npz that `featurize extract` made")
    _add_output(parser)
    text = "name[:param=value,...], or the dotted path of a scikit-learn classifier (default: softmax)"
    option("--head", default="softmax", metavar="SPEC", help=text)
    text = (
        "a features column, or several joined with + (default: all columns of the table together, but for nuisance "
        "and region=border); beside a network, texture and other descriptions by hand count a quarter"
    )
    option("--features", metavar="SPEC", help=text)
    text = "parameters of the head, for example --set C=10 gamma=0.5"
    option("--set", nargs="+", action="extend", default=[], metavar="PARAM=VALUE", help=text)
    text = "every label counts the same, however many photos it has (class_weight=balanced)"
    option("--balanced", action="store_true", help=text)
    text = "CSV with the columns label,new_label, a line for every label of the table; an empty new_label drops it"
    option("--relabel", metavar="MAP", help=text)
    add_labels_option(parser)
    add_trust(parser, "the head may consist of")
    text = "train softmax in passes over the table; done unasked where its vectors take more than an eighth of memory"
    option("--out-of-core", action="store_true", help=text)
    text = "search the head's parameters first (`classify heads` lists the grids)"
    option("--tune", action="store_true", help=text)
    text = "score to optimise: log-loss (default) or accuracy; implies --tune"
    option("--tune-by", choices=("log-loss", "accuracy"), help=text)
    group = parser.add_argument_group("operating point")
    group.add_argument("--positive", metavar="LABEL", help="the label that must not be missed")
    rules = group.add_mutually_exclusive_group()
    text = "recall=R, specificity=R or precision=R: the share to reach on photos that were not trained on"
    rules.add_argument("--threshold", metavar="RULE", help=text)
    text = "what each mistake costs, a CSV with the columns label,predicted,cost"
    rules.add_argument("--costs", metavar="FILE.csv", help=text)
    group = parser.add_argument_group("labels in a tree")
    text = (
        "CSV with the columns label,parent and one more for each level up, or label,parent for every label and parent: "
        "the model answers with a parent where no label is sure enough; labels are those after --relabel"
    )
    group.add_argument("--taxonomy", metavar="MAP", help=text)
    text = "the share of answers that shall be right on new photos (default: 0.95)"
    group.add_argument("--answer-accuracy", type=float, metavar="A", help=text)
    group = parser.add_argument_group("step by step (softmax and mlp)")
    text = "train N steps and say how it goes; Ctrl-C keeps the best so far"
    group.add_argument("--steps", type=int, metavar="N", help=text)
    for name, (kind, metavar, text) in STEP_OPTIONS.items():
        group.add_argument(_option(name), type=kind, metavar=metavar, help=text)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _train(args: argparse.Namespace) -> int:
    from classify.heads.spec import HeadSpec
    from classify.model.modelfile import save_model
    from classify.rows import read_relabel

    inputs = [args.table, args.relabel, args.costs, args.labels, args.taxonomy]
    check_outputs([(args.output, MODEL)], inputs)
    check_model_name(args.output)
    balanced = {"class_weight": "balanced"} if args.balanced else {}
    spec = HeadSpec.parse(args.head).with_params(balanced | key_values(args.set, "--set"))
    head = _with_steps(args, spec)
    relabel = read_relabel(args.relabel) if args.relabel else None
    _refuse_what_does_not_go_together(args)
    model = _trained(args, head, {"seed": args.seed, "relabel": relabel})
    save_model(model, args.output)
    about = f"{model.training['head']} on {model.features}, {len(model.labels)} labels"
    about += f", {model.training['seconds']:.1f} s"
    if size := path_at(args.output).stat().st_size:  # a pipe has none
        about += f", {size / 1e6:.1f} MB" if size >= 1e6 else f", {size / 1e3:.0f} kB"
    log.info("wrote %s: %s", where_written(args.output), about)
    return 0


def _trained(args: argparse.Namespace, head: str, common: dict[str, Any]) -> "Model":
    from classify.heads.steps import StepPlan
    from classify.labels import correct_labels, read_labels
    from classify.model.modelfile import save_model
    from classify.taxonomy import read_taxonomy
    from classify.training.out_of_core import train_out_of_core
    from classify.training.thresholds import read_costs
    from classify.training.train import train, train_in_steps
    from featurize.table import FeatureTable

    def save(model: "Model", step: int) -> None:
        path = f"{args.output}.step{step}"
        save_model(model, path)
        log.info("wrote %s", where_written(path))

    corrections = read_labels(args.labels) if args.labels else []
    if _exceeds_memory(args, head):
        return train_out_of_core(args.table, head, args.features, labels=corrections, **common)
    table = FeatureTable.read(args.table)
    table = correct_labels(table, corrections) if args.labels else table
    if args.steps is not None:
        given = {name: getattr(args, name) for name in STEP_OPTIONS if getattr(args, name) is not None}
        return train_in_steps(table, head, args.features, StepPlan(args.steps, **given), save=save, **common)
    threshold = read_costs(args.costs) if args.costs else args.threshold
    tune = args.tune_by or ("log-loss" if args.tune else None)
    own = {"tune": tune, "positive": args.positive, "threshold": threshold, "trust": args.trust}
    if args.taxonomy:
        own["taxonomy"] = read_taxonomy(args.taxonomy)
        own |= {} if args.answer_accuracy is None else {"answer_accuracy": args.answer_accuracy}
    return train(table, head, args.features, jobs=args.jobs, **own, **common)


def _exceeds_memory(args: argparse.Namespace, head: str) -> bool:
    """Whether to train out of core: asked for, or needed and possible."""
    from classify.training.out_of_core import can_train, exceeds_memory

    if args.out_of_core or not exceeds_memory(args.table, args.features):
        return args.out_of_core
    possible = args.steps is None and not _options_of_training_at_once(args) and can_train(head)
    how = "training goes through the file again and again"
    how = how if possible else "only a plain softmax does without it"
    log.warning("the vectors take more than an eighth of the memory: %s", how)
    return possible


def _with_steps(args: argparse.Namespace, spec: "HeadSpec") -> str:
    """The spec without steps, which are as if they had been given as options."""
    head, own = spec.split_steps()
    for name, value in own.items():
        if getattr(args, name) not in (None, value):
            given = f"{_option(name)} {getattr(args, name)}"
            raise OptionsError(f"{given} and the head {spec} do not agree", "give one of them")
        setattr(args, name, value)
    return str(head)


def _refuse_what_does_not_go_together(args: argparse.Namespace) -> None:
    options = ", ".join(_option(name) for name in STEP_OPTIONS if getattr(args, name) is not None)
    if options and args.steps is None:
        raise OptionsError(f"{options} was given without --steps", "add --steps 4000 to train step by step")
    if args.answer_accuracy is not None and not args.taxonomy:
        hint = "add --taxonomy MAP.csv, which says what is a kind of what"
        raise OptionsError("--answer-accuracy was given without --taxonomy", hint)
    at_once = _options_of_training_at_once(args)
    alone, others = "--steps", at_once if args.steps is not None else []
    if args.out_of_core:
        alone, others = "--out-of-core", ["--steps"] * (args.steps is not None) + at_once
    if others:
        raise OptionsError(f"{alone} and {', '.join(others)} do not go together", f"train without {alone}")


def _options_of_training_at_once(args: argparse.Namespace) -> list[str]:
    """Those given that neither training in steps nor training out of core knows."""
    tuned = ["--tune"] if args.tune or args.tune_by else []
    others = ("positive", "threshold", "costs", "taxonomy", "trust")
    return tuned + [f"--{name}" for name in others if getattr(args, name)]


def _add_predict(commands: Any) -> None:
    summary = "Predict the labels of photos, or of the images of a table."
    example = "classify predict flowers.model holiday/*.jpg --format csv -o holiday.csv"
    parser = add_command(commands, "predict", _predict, summary, example)
    add_model(parser)
    option = parser.add_argument
    text = (
        "photos, folders, archives, glob patterns, manifests (image column), Parquet files with photos, tables "
        "(files also at URLs), or - for standard input, one path a line"
    )
    option("sources", nargs="+", metavar="IMAGE|FOLDER|TABLE", help=text)
    text = "form of the output (default: by the ending of -o, .parquet, .csv or .jsonl, else text)"
    option("--format", choices=FORMATS, help=text)
    text = "how many labels per image, 0 for all (default: 1; all for the text of one image)"
    count = count_from(0, "number of labels; give 1 or more, or 0 for all")
    option("--top", type=count, metavar="K", help=text)
    text = (
        "of a model whose labels form a tree: answer with the deepest name that reaches this probability (default: "
        "what the training found)"
    )
    option("--min-confidence", type=float, metavar="P", help=text)
    option("-o", "--output", metavar="FILE", help="write there instead of to standard output")
    add_excel(parser)
    add_manifest_options(parser)
    add_max_megapixels(parser)
    add_places(parser)


def _add_neighbours(commands: Any) -> None:
    summary = "Print the training images that a photo resembles most, nearest first: distance, label, name."
    example = "classify neighbours flowers.model photo.jpg --table flowers.parquet"
    parser = add_command(commands, "neighbours", _neighbours, summary, example)
    add_model(parser)
    option = parser.add_argument
    option("image", metavar="IMAGE", help="a photo")
    option("--table", required=True, metavar="TABLE", help="the table of the training")
    option("--format", choices=FORMATS, default="text", help="form of the output (default: text)")
    count = count_from(1, "number of images; give 1 or more")
    option("--top", type=count, default=10, metavar="K", help="how many images (default: 10)")
    add_excel(parser)
    add_places(parser)


def _predict(args: argparse.Namespace) -> int:
    start = time.perf_counter()
    from classify.model.modelfile import load_model
    from classify.prediction import output
    from classify.prediction.predict import Predictor

    imported = time.perf_counter()
    ending = path_at(args.output or "").suffix.lower().removeprefix(".")
    if ending == "parquet" and args.format:
        hint = "leave out --format for Parquet, or give the file another ending"
        raise OptionsError(f"--format {args.format} and -o {args.output} do not agree", hint)
    form = args.format or (ending if ending in WRITTEN else "text")
    check_excel(args, form == "csv")
    inputs = [one.partition("=")[2] or one for one in args.weights]
    inputs += [args.model, *(one for one in args.sources if one != "-")]
    check_outputs([(args.output, WRITTEN[form])], inputs)
    loading = time.perf_counter()
    model = load_model(args.model, trust=args.trust)
    weights = weights_given(args.weights, model.parts)
    options = {"store": args.store, "jobs": args.jobs, "max_megapixels": args.max_megapixels}
    options["min_confidence"] = args.min_confidence
    predictor = Predictor(model, weights=weights, **options)
    predictor.seconds |= {"importing": imported - start, "loading the model": time.perf_counter() - loading}
    counts: Counter[str] = Counter()
    batches = _reported(predictor.predict_batches(args.sources, **manifest_options(args)), counts)
    if form == "parquet":
        with whole_file(args.output, PREDICTIONS) as file:
            output.write_parquet(file, model.labels, batches, args.top, answers=model.answers is not None)
    else:
        forms: dict[str, Callable[..., Iterator[str]]] = {
            "text": output.as_text,
            "csv": partial(output.as_csv, excel=args.excel, answers=model.answers is not None),
            "jsonl": output.as_jsonl,
        }
        pieces = forms[form](model.labels, batches, args.top)
        if args.output:
            with whole_file(args.output, WRITTEN[form]) as file:
                with open(file, "w", encoding="utf-8", newline="") as stream:
                    stream.writelines(pieces)
        else:
            for piece in pieces:
                sys.stdout.write(piece)
                sys.stdout.flush()
    _say(counts, args.output)
    return 0


def _reported(batches: Iterable["Predictions"], counts: Counter[str]) -> Iterator["Predictions"]:
    """The same batches; what they reject is logged, and all is counted."""
    for batch in batches:
        for image, reason in batch.rejects:
            log.warning("left out %s: %s", image, reason)
        counts["predictions"] += len(batch)
        counts["left out"] += len(batch.rejects)
        counts["outliers"] += sum(map(bool, batch.outlier))
        yield batch


def _say(counts: Counter[str], output: str | None) -> None:
    n_left_out = counts["left out"]
    left_out = f"; {n_left_out} file{'s' * (n_left_out != 1)} left out" if n_left_out else ""
    n_predictions, n_outliers = counts["predictions"], counts["outliers"]
    if output:
        some = f", {n_outliers} of them {'an outlier' if n_outliers == 1 else 'outliers'}"
        predictions = f"{n_predictions} prediction{'s' * (n_predictions != 1)}{some * bool(n_outliers)}"
        log.info("wrote %s: %s%s", where_written(output), predictions, left_out)
    elif n_predictions == n_outliers == 1 and not n_left_out:
        log.warning("this photo looks like nothing that the model was trained on")


def _neighbours(args: argparse.Namespace) -> int:
    from classify.model.modelfile import load_model
    from classify.prediction import output
    from classify.prediction.neighbours import nearest_images
    from featurize.table import FeatureTable

    check_excel(args, args.format == "csv")
    model = load_model(args.model, trust=args.trust)
    table, weights = FeatureTable.read(args.table), weights_given(args.weights, model.parts)
    places = {"weights": weights, "store": args.store, "jobs": args.jobs}
    found = nearest_images(model, args.image, table, top=args.top, **places)
    sys.stdout.write(output.neighbours_as(args.format, found, args.excel))
    return 0


def _show(args: argparse.Namespace) -> int:
    from classify.export.sidecar import export_card, find_export
    from classify.model.card import model_card
    from classify.model.modelfile import load_model

    if (about := find_export(args.model)) is not None:
        sys.stdout.write(export_card(about, args.model))
        return 0
    model = load_model(args.model, trust=args.trust)
    sys.stdout.write(model_card(model, path_at(args.model).stat().st_size))
    return 0


def _add_import_graph(commands: Any) -> None:
    summary = "Turn a graph that TensorFlow's retrain.py trained into a model."
    example = "classify import-graph retrained_graph.pb retrained_labels.txt -o flowers.model"
    parser = add_command(commands, "import-graph", _import_graph, summary, example)
    parser.add_argument("graph", metavar="GRAPH.pb", help="retrained_graph.pb, or output_graph.pb")
    parser.add_argument("labels", metavar="LABELS.txt", help="its labels, one a line")
    _add_output(parser)
    add_graph_options(parser.add_argument_group("a network that is not recognised"))


def _import_graph(args: argparse.Namespace) -> int:
    from classify.model.import_graph import import_graph
    from classify.model.modelfile import save_model

    check_outputs([(args.output, MODEL)], [args.graph, args.labels])
    model = import_graph(args.graph, args.labels, **graph_options(args))
    save_model(model, args.output)
    about = f"{len(model.labels)} labels on the {model.widths[0]} numbers of {model.features}"
    extract = f"`featurize extract PHOTOS --features {args.graph} --parity retrain`"
    log.info("wrote %s: %s; for a table that fits it, %s", where_written(args.output), about, extract)
    return 0


def _add_labels(commands: Any) -> None:
    summary = "Correct the labels of single photos, and write the table anew; it remembers the labels before."
    example = "classify labels flowers.parquet --labels corrections.csv -o corrected.parquet"
    parser = add_command(commands, "labels", _labels, summary, example)
    parser.add_argument("table", metavar="TABLE", help="a .parquet or .npz that `featurize extract` made")
    text = "CSV with the columns image,label or sha256,label; an empty label drops the photo"
    parser.add_argument("--labels", required=True, metavar="FILE.csv", help=text)
    parser.add_argument("-o", "--output", required=True, metavar="TABLE", help="the table to write")


def _labels(args: argparse.Namespace) -> int:
    from classify.labels import correct_labels, read_labels
    from featurize.table import FeatureTable
    from featurize.tableformat import table_kind

    check_outputs([(args.output, TABLE)], [args.table, args.labels])
    table_kind(args.output)
    table = correct_labels(FeatureTable.read(args.table), read_labels(args.labels))
    table.write(args.output)
    log.info("wrote %s: %d rows", where_written(args.output), len(table))
    return 0


def _heads(args: argparse.Namespace) -> int:
    from classify.heads.registry import HEADS
    from classify.heads.tuning import GRIDS

    longest = max(map(len, HEADS))
    for name, registered in HEADS.items():
        defaults = ", ".join(f"{key}={value}" for key, value in registered.defaults.items())
        print(f"{name:<{longest}}  {registered.summary}")
        print(f"{'':<{longest}}  {registered.classifier}{': ' + defaults if defaults else ''}")
        if GRIDS[name]:
            grid = "; ".join(f"{key} {', '.join(map(str, values))}" for key, values in GRIDS[name].items())
            print(f"{'':<{longest}}  --tune tries {grid}")
    return 0
