"""The model behind a server: bytes of photos in, predictions out, in each form that clients know."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from classify.model.card import model_card
from classify.model.model import Model
from classify.model.modelfile import load_model
from classify.prediction.neighbours import TrainingPhotos
from classify.prediction.options import weights_given
from classify.prediction.output import as_jsonl
from classify.prediction.predict import Predictor
from classify.prediction.predictions import Predictions, predict_table
from classify.serving.batching import FAILED, Answer, Metrics
from classify.serving.settings import Settings, Watched
from featurize.errors import BottleheadError
from featurize.pages import Thumbnails
from featurize.remote import path_at
from featurize.table import FeatureTable
from featurize.terminal import log


class Service:
    """A model in one process; `is_ready` once its network is loaded and was checked."""

    def __init__(self, settings: Settings, metrics: Metrics):
        self.settings, self.metrics = settings, metrics
        self._watched = settings.watched or Watched.now(settings.model)
        self.model: Model = load_model(settings.model, trust=settings.trust)
        self.labels = self.model.labels
        self.predictor = Predictor(
            self.model,
            weights=weights_given(settings.weights, self.model.parts),
            store=settings.store,
            jobs=settings.jobs,
            max_megapixels=settings.max_megapixels,
            engine=settings.engine,
        )
        self.known: TrainingPhotos | None = None
        self.thumbnails: Thumbnails | None = None
        if settings.table is not None:
            self.known = TrainingPhotos(self.model, FeatureTable.read(settings.table))
            if settings.show_training_photos:
                self.thumbnails = Thumbnails(self.known.table)
        self.card = model_card(self.model, path_at(settings.model).stat().st_size)
        self.is_ready = self.is_replaced = False
        self.are_others_ready: Callable[[], bool] = lambda: True

    def prepare(self) -> None:
        """Load the network, check it and run it once."""
        self.predictor.prepare()
        self.is_ready = True
        self.metrics.ready.set(1)

    def notices_replaced(self) -> bool:
        """Whether the file of the model is another one since the last time that somebody asked."""
        before, self.is_replaced = self.is_replaced, self.is_replaced or self._watched.is_replaced()
        return self.is_replaced and not before

    def compute(self, photos: Sequence[tuple[bytes, int]]) -> list[Answer]:
        """An answer for each (bytes of a photo, how many neighbours)."""
        try:
            answers = self._together(photos)
        except Exception as error:
            if len(photos) > 1:  # one of them fails, and costs the others nothing
                return [answer for one in photos for answer in self.compute([one])]
            if not isinstance(error, BottleheadError | MemoryError):
                log.error("a photo could not be predicted: %s: %s", type(error).__name__, error)
                return [Answer(status=500, reason=FAILED)]
            answers = [Answer(status=422, reason=str(error) or "it does not fit into memory")]
        for answer in answers:
            self.metrics.photos.labels("rejected" if answer.predictions is None else "predicted").inc()
        return answers

    def _together(self, photos: Sequence[tuple[bytes, int]]) -> list[Answer]:
        table, rejects = self.predictor.vectors_of((str(n), data) for n, (data, _) in enumerate(photos))
        answers = {int(number): Answer(status=422, reason=reason) for number, reason in rejects}
        if table is not None:
            found = predict_table(self.model, table)
            vectors = table.select(self.model.features) if self.known is not None else None
            for row, number in enumerate(map(int, found.image)):
                answers[number] = answer = Answer(_row_of(found, row))
                if vectors is not None and self.known is not None and photos[number][1]:
                    answer.neighbours = self.known.nearest(vectors[[row]], photos[number][1])
        return [answers[number] for number in range(len(photos))]

    def line(self, name: str, answer: Answer, top: int | None) -> str:
        """The JSON of one photo: as `classify predict --format jsonl`, or its name and the reason."""
        if answer.predictions is None:
            return json.dumps({"image": name, "error": answer.reason}, ensure_ascii=False) + "\n"
        answer.predictions.image = [name]
        (text,) = as_jsonl(self.labels, [answer.predictions], top)
        if not answer.neighbours:
            return text
        near = [
            {"row": row, "image": one.image, "label": one.label, "distance": one.distance}
            for row, one in answer.neighbours
        ]
        return json.dumps({**json.loads(text), "neighbours": near}, ensure_ascii=False) + "\n"

    def about(self) -> dict[str, Any]:
        """What the page has to know."""
        return {
            "name": self.settings.name,
            "labels": self.labels,
            "card": self.card,
            "neighbours": self.known is not None,
            "training_photos": self.thumbnails is not None,
            "max_bytes": self.settings.max_bytes,
            "knows_outliers": self.model.outliers is not None,
            "answers": self.model.answers is not None,
            "ready": self.is_ready,
            "replaced": self.is_replaced,
        }


def _row_of(found: Predictions, row: int) -> Predictions:
    return Predictions(
        found.image[row : row + 1],
        found.labels,
        found.probabilities[row : row + 1],
        found.outlier[row : row + 1],
        distance=found.distance[row : row + 1],
        operating_point=found.operating_point,
        rule=found.rule,
    )
