"""Labels in a tree: which are kinds of what, probabilities added up along it, and the deepest sure answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from featurize.errors import UsageError
from featurize.files import read_csv

ANYTHING = "anything"  # the top of a tree whose file names none
NAMED = 6  # names in an error
FIRST_LINE = "its first line must be label,parent, and may have a column more for each level up"
MOST_NODES = 10_000  # of a tree, which takes their square in bytes


@dataclass(frozen=True)
class ParentMap:
    """The parent of each node, as a file or a mapping names them; of a node at the top it is empty.

    `lines` says where a node got its parent, `source` is the file; both are empty where there is none.
    """

    parents: Mapping[str, str]
    lines: Mapping[str, int] = field(default_factory=dict)
    source: str = ""

    def where(self, name: str) -> str:
        """``line 3 of map.csv: `` for errors, as far as it is known."""
        return f"line {self.lines[name]} of {self.source}: " if name in self.lines else ""


class Taxonomy:
    """A tree whose nodes hold labels: those that hang below them, and themselves where they are labels.

    Parameters
    ----------
    parents : ParentMap or mapping
        Parent by name, for every label and every inner node; those at the top may be left out or have an empty one.
    labels : sequence of str
        All labels, in the order of the probabilities.

    Raises
    ------
    UsageError
        If a label is missing, a name without children is no label, names stand in a circle, or no label has a parent
        that tells some labels from others.

    Attributes
    ----------
    nodes : list of str
        From the top, which holds all labels, each node before those below it.
    levels : list of int
        How far below the top each node is.
    parent_of : list of int
        The node above each, -1 for the top.
    parents : dict
        The same by name, as this class takes it.

    Examples
    --------
    >>> parents = {"tea rose": "rose", "dog rose": "rose", "tulip": ""}
    >>> tree = Taxonomy(parents, ["dog rose", "tea rose", "tulip"])
    >>> tree.nodes, tree.levels
    (['anything', 'rose', 'dog rose', 'tea rose', 'tulip'], [0, 1, 2, 2, 1])
    >>> nodes, chances = tree.answer(np.array([[0.45, 0.48, 0.07]]), 0.9)
    >>> tree.nodes[nodes[0]], round(float(chances[0]), 2)
    ('rose', 0.93)
    """

    def __init__(self, parents: "ParentMap | Mapping[str, str]", labels: Sequence[str]):
        given = parents if isinstance(parents, ParentMap) else ParentMap(dict(parents))
        self.labels = [str(label) for label in labels]
        known = {name: parent for name, parent in given.parents.items() if name}
        known |= {parent: "" for parent in known.values() if parent and parent not in known}
        if len(known) > MOST_NODES:
            what = (
                f"the taxonomy {given.source}".rstrip()
                + f" has {len(known):,} names, and may have {MOST_NODES:,}"
            )
            raise UsageError(what, "leave out levels, or labels with --relabel")
        _refuse_circles(given, known)
        _refuse_labels(given, known, self.labels)
        children: dict[str, list[str]] = {"": []}
        for name in sorted(known):
            children.setdefault(known[name], []).append(name)
        top = ""
        while len(children[top]) == 1 and children[top][0] not in self.labels:
            top = children[top][0]
        if all(name in self.labels and name not in children for name in children[top]):
            file = f"the taxonomy {given.source}".rstrip()
            what = f"{file} tells nothing: all {len(self.labels)} labels stand side by side"
            raise UsageError(what, "give some labels a parent that others do not have")
        if not top and ANYTHING in known:
            what = f"{given.where(ANYTHING)}a node is called {ANYTHING}, as the top of the tree is"
            raise UsageError(what, "give it another name, or make it the parent of all others")
        self.nodes = [top or ANYTHING]
        self.levels: list[int] = [0]
        self.parent_of = [-1]
        pending = [(name, 0) for name in reversed(children[top])]
        while pending:  # each node before those below it; a tree may be deeper than Python's stack
            name, above = pending.pop()
            self.nodes.append(name)
            self.parent_of.append(above)
            self.levels.append(self.levels[above] + 1)
            here = len(self.nodes) - 1
            pending += [(child, here) for child in reversed(children.get(name, []))]
        names = [top, *self.nodes[1:]]
        self.parents = {names[i]: names[self.parent_of[i]] for i in range(1, len(names))}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Taxonomy):
            return NotImplemented
        return (self.nodes, self.parents, self.labels) == (other.nodes, other.parents, other.labels)

    __hash__ = None  # type: ignore[assignment]

    @property
    def depth(self) -> int:
        """How far below the top the deepest label is."""
        return max(self.levels)

    @cached_property
    def above(self) -> np.ndarray:
        """Whether node `j` is node `i` or above it, ``above[i, j]``; shape (n_nodes, n_nodes)."""
        found = np.eye(len(self.nodes), dtype=bool)
        for place in range(1, len(self.nodes)):
            found[place] |= found[self.parent_of[place]]
        return found

    @cached_property
    def node_of(self) -> np.ndarray:
        """The node of each label, shape (n_labels,)."""
        places = {name: place for place, name in enumerate(self.nodes)}
        return np.array([places[label] for label in self.labels])

    @cached_property
    def holds(self) -> np.ndarray:
        """Whether a node holds a label, shape (n_nodes, n_labels)."""
        return self.above[self.node_of].T

    @cached_property
    def children(self) -> list[list[int]]:
        """The nodes directly below each node."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for place in range(1, len(self.nodes)):
            found[self.parent_of[place]].append(place)
        return found

    def ancestors(self, name: str) -> list[str]:
        """The nodes above a node, nearest first, without the top.

        >>> Taxonomy({"tea rose": "rose", "rose": "plant", "dog": ""}, ["tea rose", "dog"]).ancestors("tea rose")
        ['rose', 'plant']
        """
        found, place = [], self.nodes.index(name)
        while (place := self.parent_of[place]) > 0:
            found.append(self.nodes[place])
        return found

    def probabilities(self, probabilities: np.ndarray) -> np.ndarray:
        """The probability of each node, from that of each label: the sum of those that it holds; (n_rows, n_nodes)."""
        given = np.asarray(probabilities, dtype=np.float64)
        found = np.zeros((len(given), len(self.nodes)))
        for column in range(
            len(self.labels)
        ):  # in one order, so that a photo's answer depends on no other photo
            found[:, self.holds[:, column]] += given[:, [column]]
        found[:, 0] = 1.0
        return found

    def paths(self, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the top to a label, always into the most probable branch: nodes and their probabilities.

        Both are of shape (n_rows, depth + 1); below its end a path has the node -1 of probability -1. A path ends at a
        node that is a label itself where that label is more probable than every branch.
        """
        chances = self.probabilities(probabilities)
        own = np.full(chances.shape, -1.0)
        own[:, self.node_of] = probabilities
        nodes = np.full((len(chances), self.depth + 1), -1)
        shares = np.full(nodes.shape, -1.0)
        nodes[:, 0], shares[:, 0] = 0, 1.0
        rows = np.arange(len(chances))
        for level in range(self.depth):
            for place in np.unique(nodes[:, level]):
                below = self.children[place] if place >= 0 else []
                here = rows[nodes[:, level] == place]
                if not below:
                    continue
                best = np.array(below)[chances[np.ix_(here, below)].argmax(axis=1)]
                on = chances[here, best] >= own[here, place]
                here, best = here[on], best[on]
                nodes[here, level + 1] = best
                # A sum of many may exceed, in its last digit, the sum that holds it.
                shares[here, level + 1] = np.minimum(chances[here, best], shares[here, level])
        return nodes, shares

    def answer(self, probabilities: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """The deepest node that reaches a probability, and its probability, both of shape (n_rows,).

        From the top it goes into the most probable branch for as long as that reaches the threshold. From a threshold
        of one half on no other node as deep can reach it. The answer of a higher threshold holds that of a lower one.
        """
        nodes, shares = self.paths(probabilities)
        last = (shares >= threshold).sum(axis=1) - 1
        rows = np.arange(len(nodes))
        return nodes[rows, np.maximum(last, 0)], shares[rows, np.maximum(last, 0)]

    def at_level(self, level: int) -> np.ndarray:
        """The node of each label at a level, or its own where that is higher up; shape (n_labels,)."""
        return np.array([self._up_to(int(place), level) for place in self.node_of])

    def _up_to(self, place: int, level: int) -> int:
        while self.levels[place] > level:
            place = self.parent_of[place]
        return place


def read_taxonomy(path: str | Path) -> ParentMap:
    """The parent of each node, from a CSV file whose first column is ``label``.

    Each further column is one level up: ``label,parent,grandparent``, with nothing where there are no more. With the
    columns ``label,parent`` alone, inner nodes may have lines of their own. A ``label,superclass`` file is a tree, too.
    A UsageError with the numbers of the lines where a node has two parents, a cell is missing or names stand in a
    circle.
    """
    try:
        return _read(path)
    except UsageError as error:
        if error.hint.endswith("its first line must be label"):
            error.hint = error.hint.removesuffix("its first line must be label") + FIRST_LINE
        raise


def _read(path: str | Path) -> ParentMap:
    parents: dict[str, str] = {}
    lines: dict[str, int] = {}
    hint = "each line is a label, its parent, the parent of that, and so on upwards"
    for number, line in read_csv(path, ("label",), "taxonomy", optional=None):
        names = [line.pop("label").strip(), *(cell.strip() for cell in line.values())]
        if len(names) < 2:
            raise UsageError(f"the taxonomy {path} has one column, label", FIRST_LINE)
        filled = [name for name in names if name]
        if not names[0] or names[: len(filled)] != filled:
            raise UsageError(f"line {number} of {path} has an empty cell: {','.join(names)[:100]!r}", hint)
        # The last one is at the top, unless another line says more.
        for name, parent in zip(filled, [*filled[1:], ""], strict=True):
            known = parents.setdefault(name, parent)
            if known and parent and known != parent:
                what = f"line {number} of {path} gives {name} the parent {parent}, line {lines[name]} gave {known}"
                raise UsageError(what, "a node has one parent; give different nodes different names")
            if name not in lines or (parent and not known):
                parents[name], lines[name] = parent, number
    if not parents:
        raise UsageError(f"the taxonomy {path} names no label", hint)
    found = ParentMap(parents, lines, str(path))
    _refuse_circles(found, parents)
    return found


def _refuse_circles(given: ParentMap, parents: Mapping[str, str]) -> None:
    fine: set[str] = set()
    for start in parents:
        trail: dict[str, None] = {}
        name = start
        while name and name not in fine:
            if name in trail:
                circle = [*_from(list(trail), name), name]
                what = f"{given.where(name)}{' is below '.join(circle[:NAMED])}: a circle"
                raise UsageError(what, "let the names that are parents lead up to a top without a parent")
            trail[name] = None
            name = parents.get(name, "")
        fine |= trail.keys()


def _from(names: list[str], first: str) -> list[str]:
    return names[names.index(first) :]


def _refuse_labels(given: ParentMap, known: Mapping[str, str], labels: Sequence[str]) -> None:
    """Labels without a place, and names at the end of a branch that are no labels."""
    file = f"the taxonomy {given.source}".rstrip()
    absent = [label for label in labels if label not in known]
    if absent:
        what = f"{file} lacks {len(absent)} of {len(labels)} labels: {_listed(absent)}"
        raise UsageError(what, "give each label a line label,parent; labels are those after --relabel")
    inner = set(known.values())
    unknown = [name for name in known if name not in inner and name not in labels]
    if unknown:
        noun = "no label" if len(unknown) == 1 else "no labels"
        verb = "is" if len(unknown) == 1 else "are"
        where = f", lines {_listed([str(given.lines[one]) for one in unknown])}" if given.lines else ""
        where = where.replace("lines", "line") if len(unknown) == 1 else where
        what = f"{file}{where}: {_listed(unknown)} {verb} {noun} and no parent"
        raise UsageError(what, f"the labels are {_listed(list(labels))}; correct or remove the line")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
