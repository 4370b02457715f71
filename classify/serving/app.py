"""The HTTP interface: the page, `POST /predict`, the Open Inference Protocol, TensorFlow Serving's, metrics."""

import base64
import io
import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from PIL import Image
from starlette.exceptions import HTTPException

from classify.serving.batching import FAILED, Answer, Gone, Line, Memory, Metrics, Photos, Refusal, Share
from classify.serving.guard import Guard
from classify.serving.service import Service
from classify.serving.uploads import hung_up, instances_of, photos_of
from featurize.pages import TEMPLATES, page_templates, render_page

PAGE = Path(__file__).parent / "page"
JSON_LINES = "application/x-ndjson"
MOST_NEIGHBOURS = 50
HELD_PHOTOS = 32  # uploads of all requests together may take this many photos of the largest size
PHOTOS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {
                        "photo": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
        },
    }
}
ERROR = {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}}
REFUSALS = {
    400: "The request cannot be read.",
    401: "The token is missing or wrong.",
    403: "The Host or the Origin is not one of this server.",
    408: "The client sent nothing for too long.",
    413: "A photo has more bytes than allowed.",
    415: "A kind of form that is not read.",
    422: "What was sent is no photo that can be read, or it is too large in pixels.",
    503: "Too many photos wait, or the network is being loaded: come back after Retry-After seconds.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses as the OpenAPI description tells them."""
    return {status: {"description": REFUSALS[status], "content": ERROR} for status in statuses}


def example_photo() -> bytes:
    """A PNG of some hundred bytes, so that every example can be tried as it is."""
    picture, stream = Image.new("RGB", (64, 64), (86, 140, 200)), io.BytesIO()
    picture.paste((70, 110, 60), (0, 40, 64, 64))
    picture.paste((240, 200, 60), (24, 16, 40, 32))
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def make_app(service: Service, line: Line, metrics: Metrics) -> Guard:
    """The application of one process."""
    settings, name = service.settings, service.settings.name
    memory = Memory(max(256_000_000, HELD_PHOTOS * settings.max_bytes))
    photo = example_photo()
    app = FastAPI(
        title=f"{name}: labels of photos",
        version="1",
        description="Predictions of a model that `classify train` made.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
    )

    def check_ready() -> None:
        if not service.is_ready:
            raise Refusal(503, "the network is being loaded; come back soon", retry_after=2)

    async def answers(request: Request, photos: Any, n_neighbours: int = 0) -> list[tuple[str, Answer]]:
        check_ready()
        share = Share(memory)
        try:
            found: Photos = photos(request.headers, request.receive, settings.max_bytes, share)
            return await line.answers(found, share, partial(hung_up, request.receive), n_neighbours)
        finally:
            share.give_back(share.held)

    own: dict[str, Any] = {"include_in_schema": False}

    @app.post(
        "/predict",
        tags=["photos"],
        summary="The labels of photos",
        response_class=Response,
        responses={
            200: {
                "description": "An object for each photo, in order, a line each, as `classify predict --format jsonl` "
                "writes them; of one that cannot be read among several, its name and the reason.",
                "content": {JSON_LINES: {"schema": {"type": "string"}}},
            },
            **refusals(400, 401, 403, 408, 413, 415, 422, 503),
        },
        openapi_extra=PHOTOS_BODY,
    )
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=0, description="How many labels to name, 0 for all.")] = 1,
        neighbours: Annotated[
            int,
            Query(ge=0, le=MOST_NEIGHBOURS, description="How many training photos to name (with --table)."),
        ] = 0,
    ) -> Response:
        """Send the bytes of a photo as the body, or one or many photos as a multipart form."""
        if neighbours and service.known is None:
            raise Refusal(400, "neighbours are known where the server was started with --table")
        found = await answers(request, photos_of, neighbours)
        status = 200
        if all(answer.predictions is None for _, answer in found):
            status = max(answer.status for _, answer in found)
        if status != 200 and len(found) == 1:
            raise Refusal(status, found[0][1].reason)
        text = "".join(service.line(called, answer, top) for called, answer in found)
        return Response(text.encode("utf-8", "replace"), status, media_type=JSON_LINES)

    @app.get("/v2/health/live", tags=["open inference protocol"], summary="Whether the server runs")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get(
        "/v2/health/ready",
        tags=["open inference protocol"],
        summary="Whether the network is loaded, and makes the vectors of the training",
        responses={503: {"description": "Not yet."}},
    )
    async def ready() -> JSONResponse:
        is_ready = service.is_ready and service.are_others_ready()
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    @app.get(
        f"/v2/models/{name}",
        tags=["open inference protocol"],
        summary="What the model takes and gives",
        responses=refusals(401, 403),
    )
    async def model() -> dict[str, Any]:
        n_labels = len(service.labels)
        return {
            "name": name,
            "versions": ["1"],
            "platform": "bottlehead",
            "inputs": [{"name": "photo", "datatype": "BYTES", "shape": [-1]}],
            "outputs": [{"name": "probabilities", "datatype": "FP64", "shape": [-1, n_labels]}],
            "labels": service.labels,
        }

    @app.get(
        f"/v1/models/{name}",
        tags=["tensorflow serving"],
        summary="The state of the model",
        responses=refusals(401, 403),
    )
    async def model_status() -> dict[str, Any]:
        state = "AVAILABLE" if service.is_ready else "LOADING"
        status = {"error_code": "OK", "error_message": ""}
        return {"model_version_status": [{"version": "1", "state": state, "status": status}]}

    instances = {"instances": [{"b64": base64.b64encode(photo).decode("ascii")}]}
    instance: dict[str, Any] = {"type": "object", "additionalProperties": True}

    @app.post(
        f"/v1/models/{name}:predict",
        tags=["tensorflow serving"],
        summary="The probabilities of photos",
        responses={
            200: {
                "description": "A list for each photo: a probability per label, in the order of "
                f"`/v2/models/{name}`."
            },
            **refusals(400, 401, 403, 408, 413, 503),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["instances"],
                            "properties": {"instances": {"type": "array", "items": instance}},
                        },
                        "example": instances,
                    }
                },
            },
        },
    )
    async def tensorflow_predict(request: Request) -> dict[str, Any]:
        """Each instance is `{"b64": "…"}` or `{"image_bytes": {"b64": "…"}}`, the file of a photo in base64."""
        found = await answers(request, instances_of)
        for called, answer in found:
            if answer.predictions is None:
                raise Refusal(400 if answer.status == 422 else answer.status, f"{called}: {answer.reason}")
        return {"predictions": [one.predictions.probabilities[0].tolist() for _, one in found]}  # type: ignore[union-attr]

    @app.get(
        "/metrics",
        tags=["operation"],
        summary="Counts and times, for Prometheus",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics."},
            **refusals(401, 403),
        },
    )
    async def metrics_text() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/about", **own)
    async def about() -> dict[str, Any]:
        return service.about()

    @app.get("/training-photos/{row}", **own)
    def training_photo(row: int) -> Response:
        # No number of a row, and no photo that may be shown, look the same from outside.
        if service.thumbnails is not None and service.known is not None:
            images = service.known.table.image
            jpeg = service.thumbnails.jpeg(images[row]) if 0 <= row < len(images) else None
            if jpeg is not None:
                return Response(jpeg, media_type="image/jpeg")
        raise Refusal(404, "there is no such training photo to show")

    templates = page_templates(PAGE)
    shown = {"root": settings.root_path}
    page = render_page(templates, "classify.html", name, "What is in these photos?", **shown).encode("utf-8")
    files = {
        "/page.css": ((TEMPLATES / "style.css").read_bytes() + (PAGE / "page.css").read_bytes(), "text/css"),
        "/page.js": ((PAGE / "page.js").read_bytes(), "text/javascript"),
        "/docs.js": ((PAGE / "docs.js").read_bytes(), "text/javascript"),
        "/example.png": (photo, "image/png"),
    }

    def add_file(path: str, content: bytes, kind: str) -> None:
        @app.get(path, **own)
        async def file() -> Response:
            return Response(content, media_type=kind)

    add_file("/", page, "text/html")
    for path, (content, kind) in files.items():
        add_file(path, content, kind)

    @app.get("/openapi.json", **own)
    async def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.get("/docs", **own)
    async def docs(request: Request) -> Response:
        base = f"http://{request.headers.get('host')}{settings.root_path}"
        calls = [_call(base, path, method, about) for path, method, about in _operations(app.openapi())]
        text = render_page(templates, "docs.html", name, "The API", calls=calls, **shown)
        return Response(text.encode("utf-8"), media_type="text/html")

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> JSONResponse:
        wait = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
        return JSONResponse({"error": refusal.reason}, refusal.status, headers=wait)

    @app.exception_handler(Gone)
    async def gone(request: Request, error: Gone) -> Response:
        return Response(status_code=499)  # nobody hears it; it is counted

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": FAILED}, 500)  # the guard logs it

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> JSONResponse:
        reason = f"there is no {request.method} {request.url.path} here; /docs lists what there is"
        if error.status_code not in (404, 405):
            reason = str(error.detail)
        return JSONResponse({"error": reason}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        reasons = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return JSONResponse({"error": "; ".join(reasons)}, 400)

    known = {getattr(route, "path", "") for route in app.routes}

    def counted(path: str) -> str:
        if path.startswith("/training-photos/"):
            return "/training-photos"
        return path if path in known else "other"

    return Guard(app, settings, metrics, counted)


def _operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, about)
        for path, methods in described["paths"].items()
        for method, about in methods.items()
    ]


def _call(base: str, path: str, method: str, about: dict[str, Any]) -> dict[str, Any]:
    """An operation as the page shows it: what it does, how curl asks for it, and what a click tries."""
    commands = [f"curl {base}{path}"]
    body = about.get("requestBody", {}).get("content", {})
    example = body.get("application/json", {}).get("example")
    if method == "post" and example is None:
        commands = [
            f"curl --data-binary @photo.jpg {base}{path}",
            f"curl -F photo=@photo.jpg -F photo=@photo.jpg '{base}{path}?top=0'",
        ]
    elif example is not None:
        commands = [f"curl --data '{json.dumps(example)}' {base}{path}"]
    answers = {
        status: one["description"].replace("`", "") for status, one in sorted(about["responses"].items())
    }
    return {
        "path": path,
        "method": method.upper(),
        "summary": about.get("summary", ""),
        "text": about.get("description", "").replace("`", ""),
        "commands": commands,
        "body": "" if example is None else json.dumps(example),
        "parameters": about.get("parameters", []),
        "answers": answers,
    }
