"""The command ``classify export``."""

import argparse
from typing import Any

from featurize.commands import add_command
from featurize.outputs import where_written
from featurize.terminal import log

PRECISIONS = "float32", "float16", "int8"


def add_export(commands: Any) -> argparse.ArgumentParser:
    """``classify export`` among the commands."""
    summary = "Write a model for other programs, run what was written, and compare it with the model."
    example = (
        "classify export flowers.model -o flowers.tflite --check photos/\n"
        "classify export flowers.model -o flowers.tflite --precision int8 --check photos/\n"
        "classify export flowers.model -o head.npz"
    )
    parser = add_command(commands, "export", _export, summary, example)
    option = parser.add_argument
    option("model", metavar="MODEL", help="a model that `classify train` made")
    text = (
        "the ending chooses: .npz (the head alone), .pb (a frozen graph, and .labels.txt), .tflite, .onnx, "
        ".xml (OpenVINO), or a folder (a saved_model)"
    )
    option("-o", "--output", required=True, metavar="FILE|FOLDER/", help=text)
    text = "of .tflite (default: float32); int8 needs --check, whose photos tell the ranges of numbers"
    option("--precision", choices=PRECISIONS, default="float32", help=text)
    text = "photos to compare on (default: one synthetic image); labels are judged from 50 on"
    option("--check", metavar="PHOTOS", help=text)
    text = "write it even if it disagrees with the model; the JSON beside it tells"
    option("--force", action="store_true", help=text)
    text = "where the network's weights are now (default: where they were in training)"
    option("--weights", metavar="FILE", help=text)
    text = "where vectors are kept (default: $FEATURIZE_STORE, or the user's cache folder)"
    option("--store", metavar="DIR", help=text)
    return parser


def _export(args: argparse.Namespace) -> int:
    from classify.export.export import export_model
    from classify.export.sidecar import check_lines, size_in_words
    from classify.model.modelfile import load_model

    about = export_model(
        load_model(args.model, trust=args.trust),
        args.output,
        precision=args.precision,
        check=args.check,
        force=args.force,
        weights=args.weights,
        store=args.store,
        inputs=[args.model],
    )
    for line in check_lines(about):
        print(line)
    if about["forced"]:
        log.warning("written by force: %s", about["forced"])
    log.info("wrote %s: %s, %s", where_written(args.output), about["format"], size_in_words(about))
    return 0
