"""Where the numbers of a report come from, and how to write so in a paper."""

import json
from collections.abc import Mapping
from typing import Any

from evaluate.report.page import Section

TITLES = {"mcnemar": "McNemar", "comparison": "Differences", "family": "Words", "counted": "Without spread"}


def provenance_section(found: Mapping[str, Any]) -> Section:
    """Data, folds, seed, statistical methods, versions and command; and per features how they were made."""
    data = found["data"]
    facts = [("Data digest (SHA-256)", data["digest"])]
    if data["source"]:
        facts.append(("Photos", f"{data['source']['path']} ({data['source']['kind']})"))
    if data["labels"]:
        counts = ", ".join(f"{name} {count}" for name, count in data["labels"].items())
        facts.append(("Images by label", counts))
    facts.append(("Groups that stay together", f"{data['groups']} of {data['images']} images"))
    if data["distorted"]:
        facts.append(("Distorted copies", f"{data['distorted']}, in training only"))
    if data["identical_images"]:
        facts.append(("Byte-identical images", str(data["identical_images"])))
    if "folds" in found:
        folds = found["folds"]
        again = f", divided {folds['repeats']} times" if folds["repeats"] > 1 else ""
        facts.append(("Folds", f"{folds['cv']}{again}; {folds['method']}"))
        facts.append(("Seed", str(found["seed"])))
    facts += [(TITLES.get(name, name.capitalize()), text) for name, text in found.get("methods", {}).items()]
    facts.append(("Versions", ", ".join(f"{name} {number}" for name, number in found["versions"].items())))
    if found["command"]:
        facts.append(("Command", found["command"]))
    described = found["described"] if found["kind"] == "duplicates" else found["features"]
    features = [(name, *_origin(entry)) for name, entry in described.items()]
    content = {"facts": facts, "features": features}
    return Section("provenance", "Where the numbers come from", content)


def methods_section(found: Mapping[str, Any]) -> Section:
    """The paragraph for a paper, with its references."""
    return Section("methods", "Methods paragraph", found["methods_paragraph"])


def _origin(entry: Mapping[str, Any] | None) -> tuple[list[tuple[str, str]], str]:
    """Of one column of vectors: the facts in short, and the whole description as JSON."""
    if not entry:
        return [("Origin", "not recorded in the table")], ""
    weights = entry.get("weights") or {}
    facts = [("Width", str(entry.get("width", ""))), ("Fingerprint", str(entry.get("fingerprint", "")))]
    if weights:
        facts.append(
            (
                "Weights",
                ", ".join(str(weights[key]) for key in ("source", "file", "sha256") if weights.get(key)),
            )
        )
    if entry.get("versions"):
        facts.append(
            ("Versions", ", ".join(f"{name} {number}" for name, number in entry["versions"].items()))
        )
    description = entry.get("description")
    return facts, json.dumps(description, indent=2, ensure_ascii=False, sort_keys=True) if description else ""
