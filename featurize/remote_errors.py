"""What goes wrong at URLs: the errors of each protocol as ours, whether a file is missing, and whether to ask again."""

import errno
from collections.abc import Iterator

from featurize.errors import without_credentials


class RemoteError(OSError):
    """Why a file at a URL cannot be reached, and what to do (`hint`)."""

    def __init__(self, path: str, problem: str, hint: str):
        super().__init__(errno.EIO, problem, path)
        self.hint = hint

    def __reduce__(self):
        return type(self), (self.filename, self.strerror, self.hint)


CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a public bucket, FSSPEC_S3_ANON=true",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
}
AGAIN = {408, 429, 500, 502, 503, 504}


def fault_of(error: Exception, protocol: str) -> tuple[str, str]:
    """What an error of any protocol means, and what to do."""
    status, kind = _status(error), {"s3a": "s3", "gcs": "gs"}.get(protocol, protocol)
    credentials = CREDENTIALS.get(kind, "check name, password and rights")
    if _is_named(error, "Credential", "ProfileNotFound"):
        return "no credentials were found", credentials
    if status in (401, 403) or (isinstance(error, PermissionError) and status is None):
        return "access is denied", f"ask for the right to it, or use other credentials: {credentials}"
    if status in AGAIN:
        return f"the server answered {status} again and again", "run it again later"
    if _is_named(error, "Connect", "gaierror", "Timeout", "Disconnected"):
        where = ", and AWS_ENDPOINT_URL where the server is not Amazon's" if kind == "s3" else ""
        return "the server cannot be reached", f"check the network{where}"
    text = without_credentials(str(getattr(error, "strerror", None) or error)).strip().partition("\n")[0]
    return text or type(error).__name__, "check the URL, the network and the rights"


def is_missing(error: Exception) -> bool:
    """Whether an error says that there is no such file."""
    status = _status(error)
    if status is not None:
        return status in (404, 410)
    # fsspec calls a web server that does not answer a file that is not found.
    return isinstance(error, FileNotFoundError) and not _is_named(error, "Client", "Timeout")


def may_pass(error: Exception) -> bool:
    """Whether the same question may get an answer in a moment."""
    status = _status(error)
    return (
        status in AGAIN
        if status is not None
        else _is_named(error, "Timeout", "Payload", "Disconnected", "OSError")
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen = 0
    while error is not None and seen < 10:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


def _status(error: Exception) -> int | None:
    """The HTTP status that an error of any protocol is about."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        told = (
            response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
        )
        status = told or getattr(one, "status", None)
        if status is None and not hasattr(type(one), "status"):  # as Google's
            status = vars(one).get("code")
        if isinstance(status, int) and 300 <= status < 600:
            return status
    return None


def _is_named(error: Exception, *parts: str) -> bool:
    return any(part in type(one).__name__ for one in _chain(error) for part in parts)
