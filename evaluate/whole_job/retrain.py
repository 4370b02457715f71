"""``bottlehead retrain``: the flags of TensorFlow's retrain.py, on what the three packages do.

The network's vectors are computed once and kept, a softmax is trained on them in steps, tested, and exported as the
graph that retrain.py wrote.
"""

import argparse
import datetime
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurize.commands import OptionsError, add_command, new_parser, run_told_command
from featurize.errors import SourceError
from featurize.outputs import (
    GRAPH,
    JSON,
    MODEL,
    PAGE,
    TEXT,
    check_outputs,
    check_page_name,
    same_file,
    where_written,
    whole_file,
)
from featurize.remote import path_at
from featurize.terminal import log

if TYPE_CHECKING:
    from classify.heads.steps import StepScores
    from classify.model.model import Model
    from evaluate.studies.testing import TestResult
    from featurize.extraction.run import Extraction
    from featurize.extractors.base import Extractor
    from featurize.photos.origin import SourceImage

EXAMPLE = (
    "bottlehead retrain --image_dir flower_photos --architecture mobilenet_0.50_224 "
    "--output_graph retrained_graph.pb --output_labels retrained_labels.txt"
)
FEW = 20  # photos of a label, below which retrain.py warned
COPIES = 4
SHOWN = 10  # photos that were left out
LONGEST = 1024  # bytes of a constant in the graph that TensorBoard shows
# Flags that are understood and do nothing, with what does it here.
WITHOUT_EFFECT = {
    "intermediate_output_graphs_dir": "no graphs are written on the way",
    "intermediate_store_frequency": "no graphs are written on the way; `classify train --save-every` keeps models",
}
Option = tuple[Any, Any, str, str]  # type, default, what stands for the value, help
OPTIONS: dict[str, dict[str, Option]] = {
    "photos": {
        "image_dir": (str, None, "DIR", "folder of class folders with photos"),
        "testing_percentage": (float, 10, "P", "share of photos to test on, by the hash of their path"),
        "validation_percentage": (float, 10, "P", "share of photos to validate on, likewise"),
        "random_crop": (float, 0, "P", "enlarge by P percent and cut out a window of the former size"),
        "random_scale": (float, 0, "P", "enlarge by 0 to P percent before that"),
        "random_brightness": (float, 0, "P", "multiply pixel values by 1 ± up to P percent"),
        "distorted_copies": (int, COPIES, "K", "distorted copies of each photo to train on"),
    },
    "network": {
        "architecture": (str, "inception_v3", "NAME", "a network of `featurize backbones`, as NAME or NAME:LAYER"),
        "model_dir": (str, "/tmp/imagenet", "DIR", "where its weights are looked for first"),
        "bottleneck_dir": (str, None, "DIR", "where vectors are kept, instead of the usual store"),
    },
    "training": {
        "how_many_training_steps": (int, 4000, "N", "steps to train"),
        "learning_rate": (float, 0.01, "R", "how far a step goes"),
        "train_batch_size": (int, 100, "N", "photos per step"),
        "test_batch_size": (int, -1, "N", "photos of the final test, -1 for all"),
        "validation_batch_size": (int, 100, "N", "photos of each validation, -1 for all"),
        "eval_step_interval": (int, 10, "N", "steps between two evaluations"),
    },
    "results": {
        "output_graph": (str, "/tmp/output_graph.pb", "FILE.pb", "the trained graph"),
        "output_labels": (str, "/tmp/output_labels.txt", "FILE.txt", "its labels, one a line"),
        "final_tensor_name": (str, "final_result", "NAME", "the operation of the graph that gives probabilities"),
        "summaries_dir": (str, "/tmp/retrain_logs", "DIR", "event files for TensorBoard"),
        "model": (str, None, "FILE", "the model (default: as output_graph, with .model)"),
        "report": (str, None, "FILE.html", "the report of the test (default: as output_graph, with .html)"),
    },
}  # fmt: skip
SWITCHES = {
    "flip_left_right": "mirror each copy with probability 1/2",
    "print_misclassified_test_images": "print the photos of the test that it gets wrong",
}


def add_retrain(commands: Any) -> None:
    """``bottlehead retrain``, as an entry of the command's list."""
    summary = (
        "Train on a folder of photos with the flags of TensorFlow's retrain.py; a model and a report besides."
    )
    parser = add_command(commands, "retrain", _retrain, summary, EXAMPLE)
    for title, options in OPTIONS.items():
        group = parser.add_argument_group(title)
        for name, (kind, default, metavar, text) in options.items():
            told = f"{text} (default: {default})" if default is not None else text
            needed = name == "image_dir"
            group.add_argument(
                f"--{name}", type=kind, default=default, metavar=metavar, required=needed, help=told
            )
    for name, text in SWITCHES.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    for name in WITHOUT_EFFECT:
        parser.add_argument(f"--{name}", metavar="…", help="has no effect any more")


def _retrain(args: argparse.Namespace) -> int:
    from classify.export.export import export_model
    from classify.heads.steps import StepPlan, event_files
    from classify.model.modelfile import save_model
    from classify.training.train import train_in_steps
    from evaluate.report.html import write_report
    from evaluate.studies.testing import test

    outputs = _checked_outputs(args)
    plan = StepPlan(
        args.how_many_training_steps,
        args.learning_rate,
        args.train_batch_size,
        args.validation_batch_size,
        args.eval_step_interval,
    )
    extractor = network_of(args.architecture, args.model_dir)
    found = _extracted(args, extractor)
    table = found.table
    with event_files(args.summaries_dir) as writers:
        watch = Watch(writers)
        model = train_in_steps(table, "softmax", extractor.name, plan, seed=args.seed, watch=watch, first=1)
        tested = test(model, table, training=table.filter(table.split != "testing"))
        for line in final_lines(tested, args):
            print(line)
        sys.stdout.flush()
        tested.command = args.command_line
        save_model(model, outputs["model"])
        write_report(tested, outputs["report"])
        store = args.bottleneck_dir
        export_model(model, args.output_graph, store=store, result=args.final_tensor_name)
        _write_labels(args.output_labels, model, args.output_graph)
        if writers:
            writers["train"].add_event(graph_event(args.output_graph))
    for path in (args.output_graph, args.output_labels, outputs["model"], outputs["report"]):
        log.info("wrote %s", where_written(path))
    return 0


# -- What is asked, before anything is computed ---


def _checked_outputs(args: argparse.Namespace) -> dict[str, str]:
    """Where model and report go; what cannot be done is refused, and what has no effect is said."""
    from classify.export.graph import check_result

    start, ending = os.path.splitext(args.output_graph)
    if ending.lower() != ".pb":
        hint = "give FILE.pb; the model that is written besides can be exported otherwise (`classify export`)"
        raise OptionsError(f"--output_graph {args.output_graph} is no graph by its name", hint)
    testing, validation = args.testing_percentage, args.validation_percentage
    if not (0 < testing < 100 and 0 <= validation and testing + validation < 100):
        shares = f"--testing_percentage {testing:g} and --validation_percentage {validation:g}"
        hint = "give more than 0 for testing, 0 or more for validation, and less than 100 together"
        raise OptionsError(f"{shares} leave nothing to test on or to train on", hint)
    size = args.test_batch_size
    if size != -1 and size < 1:
        raise OptionsError(f"--test_batch_size {size} tests nothing", "give 1 or more, or -1 for all")
    check_result(args.final_tensor_name)
    paths = {"model": args.model or f"{start}.model", "report": args.report or f"{start}.html"}
    outputs = [(args.output_graph, GRAPH), (paths["model"], MODEL), (paths["report"], PAGE)]
    labels = dict.fromkeys([args.output_labels, _labels_beside(args.output_graph)], TEXT)
    check_outputs([*outputs, *labels.items(), (f"{args.output_graph}.json", JSON)], [args.image_dir])
    check_page_name(args.report, "--report")
    for name, reason in WITHOUT_EFFECT.items():
        if getattr(args, name) not in (None, "0"):
            log.warning("--%s has no effect: %s", name, reason)
    if args.bottleneck_dir and next(Path(args.bottleneck_dir).glob("*/*.txt"), None):
        log.warning(
            "the text files in %s are not read: `featurize import-bottlenecks` makes a table of them",
            args.bottleneck_dir,
        )
    return paths


def network_of(architecture: str, model_dir: str) -> "Extractor":
    """The network of a name as retrain.py had it, with the weights in a folder where it holds some.

    There it may be a frozen graph, by the name under which retrain.py left it, or weights of Keras. Photos are read
    and resized as retrain.py did, and so does whoever uses the graph.
    """
    from featurize.networks.catalogue import find_network
    from featurize.networks.graph_extractor import FrozenGraph
    from featurize.networks.weights import weights_in
    from featurize.registry import make_extractor

    name, _, layer = architecture.partition(":")
    network, folder = find_network(name), Path(model_dir)
    version = name.replace("mobilenet_", "mobilenet_v1_")
    graphs = ["classify_image_graph_def.pb"] if name == "inception_v3" else []
    graphs += [f"{version}/frozen_graph.pb", f"{version}.pb"] if version != name else []
    for graph in graphs if not layer else []:
        if (folder / graph).is_file():
            return FrozenGraph(folder / graph, parity="retrain")
    files = weights_in(folder, name, network.download) if folder.is_dir() else []
    return make_extractor(architecture, weights=files[0] if files else "auto", parity="retrain")


# -- Photos and their vectors ---


def _extracted(args: argparse.Namespace, extractor: "Extractor") -> "Extraction":
    from evaluate.report.words import agree, count
    from evaluate.splits.split import crossing_images
    from featurize.extraction.run import run_extraction, say_remarks
    from featurize.photos.distort import Distortion
    from featurize.photos.source import list_source

    source = list_source(args.image_dir)
    source.images = divided(source.images, args)
    kinds = ("flip_left_right", "random_crop", "random_scale", "random_brightness")
    given = {name: getattr(args, name) for name in kinds}
    distort = Distortion(args.distorted_copies, **given, seed=args.seed) if any(given.values()) else None
    if distort is not None:
        copies = f"{distort.copies} distorted {agree(distort.copies, 'copy', 'copies')}"
        log.info("%s of each photo to train on, drawn once; retrain.py drew anew in each step", copies)
    found = run_extraction(
        source, [extractor], store=args.bottleneck_dir, distort=distort, jobs=args.jobs, hashes=True
    )
    for note in found.notes:
        log.info("%s", note)
    for warning in found.warnings:
        log.warning("%s", warning)
    for image, reason in found.rejects[:SHOWN]:
        log.warning("left out %s: %s", image, reason)
    if len(found.rejects) > SHOWN:
        log.warning("left out %d further photos; `featurize scan` lists them", len(found.rejects) - SHOWN)
    say_remarks(found.remarks)
    weights = found.table.metadata["features"][extractor.name]["weights"]
    log.info("%s: %s weights, %s", extractor.name, weights["source"], weights["file"])
    if n_crossing := crossing_images(found.table):
        where = (
            f"{count(n_crossing, 'photo')} with an identical one, or one of the same group, on another side"
        )
        log.warning("%s; the report counts those of the test", where)
    return found


def divided(images: "Sequence[SourceImage]", args: argparse.Namespace) -> "list[SourceImage]":
    """The images with a split each, that of their folders or as retrain.py hashed paths; SourceError where it fails."""
    from evaluate.report.words import count
    from evaluate.splits.split import hash_split
    from featurize.files import text_as_name

    counts = Counter(image.label for image in images if image.label is not None)
    folder = args.image_dir.rstrip("/")
    if len(counts) < 2:
        what = f"the photos in {folder} have {'one label, ' + next(iter(counts)) if counts else 'no labels'}"
        raise SourceError(what, "give a folder with a class folder for each of two labels or more")
    for label, number in sorted(counts.items()):
        if number < FEW:
            log.warning("%s has %s, which is few", label, count(number, "photo"))
    if any(image.split for image in images):
        log.info("the split is that of the folders; the percentages have no effect")
        sides = list(images)
    else:
        shares = args.testing_percentage, args.validation_percentage
        names = [f"{folder}/{text_as_name(image.image)}" for image in images]
        sides = [
            replace(one, split=hash_split(name, *shares)) for one, name in zip(images, names, strict=True)
        ]
    missing = sorted(set(counts) - {image.label for image in sides if image.split in (None, "training")})
    if missing or not any(image.split == "testing" for image in sides):
        what = f"no photo of {missing[0]} is left to train on" if missing else "no photo is left to test on"
        raise SourceError(what, "add photos, or give other percentages")
    return sides


# -- What is told and written ---


class Watch:
    """Tells how a training goes in the words of retrain.py, and writes it for TensorBoard."""

    def __init__(self, writers: dict[str, Any]):
        self.writers = writers

    def __call__(self, scores: "StepScores") -> None:
        step = scores.step - 1  # retrain.py counted from 0
        lines = [
            f"Train accuracy = {100 * scores.accuracy:.1f}%",
            f"Cross entropy = {scores.cross_entropy:f}",
            f"Validation accuracy = {100 * scores.validation_accuracy:.1f}% (N={scores.n_validation})",
        ]
        for line in lines:
            log.info("%s: Step %d: %s", datetime.datetime.now(), step, line)
        if not self.writers:
            return
        from classify.heads.steps import scalar_summary

        validation = scores.validation_accuracy, scores.validation_cross_entropy
        self.writers["validation"].add_summary(scalar_summary(*validation), step)
        summary = scalar_summary(scores.accuracy, scores.cross_entropy)
        summary.MergeFrom(_summary_of_layer(scores))
        self.writers["train"].add_summary(summary, step)
        for writer in self.writers.values():
            writer.flush()  # so that they can be watched


def _summary_of_layer(scores: "StepScores") -> Any:
    """Weights and biases of the layer that is trained, and what goes out of it, under retrain.py's names."""
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.summary import histogram

    layer, classifier = "final_training_ops", scores.classifier
    weights, biases = classifier.coefs_[0], classifier.intercepts_[0]
    summary = Summary()
    for name, values in (("weights", weights), ("biases", biases)):
        start = f"{layer}/{name}/summaries"
        numbers = {"mean": values.mean(), "stddev": values.std(), "max": values.max(), "min": values.min()}
        for kind, number in numbers.items():
            summary.value.add(tag=f"{start}/{kind}", simple_value=number)
        summary.MergeFrom(histogram(f"{start}/histogram", values, bins=64))
    before = scores.vectors @ weights + biases
    summary.MergeFrom(histogram(f"{layer}/Wx_plus_b/pre_activations", before, bins=64))
    summary.MergeFrom(histogram("activations", classifier.predict_proba(scores.vectors), bins=64))
    return summary


def graph_event(path: str) -> Any:
    """A frozen graph as TensorBoard draws it: without the numbers of its large constants."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.graph_pb2 import GraphDef

    with path_at(path).open("rb") as stream:
        definition = GraphDef.FromString(stream.read())
    for node in definition.node:
        if node.op == "Const" and node.ByteSize() > LONGEST:
            node.attr["value"].tensor.ClearField("tensor_content")
    return Event(graph_def=definition.SerializeToString())


def final_lines(tested: "TestResult", args: argparse.Namespace) -> Iterator[str]:
    """The final accuracy, on all photos of the test or on some of labels that are drawn equally often."""
    import numpy as np

    found = tested.predictions
    images, label = found.rows["image"].to_numpy(), np.asarray(found.label).astype(str)
    predicted, rows = np.asarray(found.predicted).astype(str), np.arange(len(label))
    if args.test_batch_size != -1:
        rng = np.random.default_rng(args.seed)
        drawn = rng.choice(np.unique(label), args.test_batch_size)
        rows = np.array([rng.choice(np.flatnonzero(label == one)) for one in drawn])
    right = predicted[rows] == label[rows]
    yield f"Final test accuracy = {100 * right.mean():.1f}% (N={len(rows)})"
    if args.print_misclassified_test_images:
        yield "=== MISCLASSIFIED TEST IMAGES ==="
        for row in rows[~right]:
            yield f"{args.image_dir.rstrip('/') + '/' + images[row]:>70s}  {predicted[row]}"


def _labels_beside(graph: str) -> str:
    """Where the export writes the labels."""
    return f"{os.path.splitext(graph)[0]}.labels.txt"


def _write_labels(path: str, model: "Model", graph: str) -> None:
    if same_file(path, _labels_beside(graph)):
        return
    with whole_file(path, TEXT) as partial:
        text = "".join(f"{label}\n" for label in model.labels)
        partial.write_text(text, encoding="utf-8", newline="\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``bottlehead retrain``, as ``python -m evaluate.whole_job.retrain`` does."""
    given = ["retrain", *(sys.argv[1:] if argv is None else argv)]
    parser = new_parser("bottlehead", __doc__ or "", EXAMPLE)
    add_retrain(parser.add_subparsers(required=True))
    return run_told_command(parser, given)


if __name__ == "__main__":
    sys.exit(main())
