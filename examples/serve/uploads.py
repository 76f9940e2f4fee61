"""The bytes of the image in a request: as its body, or as the one file of a form."""

import asyncio

from photos import Refused
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

#: Bytes that a form may have beside its file.
FORM = 4096


async def uploaded(request: Request, most_bytes: int, seconds: float) -> bytes:
    """Read the image that was sent, within a number of seconds; raises Refused."""
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    form = kind == "multipart/form-data"
    if not form and not kind.startswith("image/") and kind != "application/octet-stream":
        raise Refused(415, f"{kind} is not taken: send the bytes of an image (image/…), or a form with a file")
    most = most_bytes + FORM * form
    if _announced(request) > most:
        raise _too_large(most_bytes)
    bounded = Request(request.scope, _counted(request.receive, most, _too_large(most_bytes)))
    try:
        async with asyncio.timeout(seconds):
            data = await (_file_of_form(bounded) if form else bounded.body())
    except TimeoutError as error:
        raise Refused(408, f"the image was not sent within {seconds:g} seconds") from error
    if not data:
        raise Refused(400, "the request has no image: send its bytes as the body, or as the file of a form")
    return data


async def _file_of_form(request: Request) -> bytes:
    """The one file of a form, whatever its field is called."""
    async with request.form(max_files=1, max_fields=10) as form:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        if not files:
            raise Refused(400, "the form has no file: send one, as in curl -F image=@photo.jpg")
        return await files[0].read()


def _announced(request: Request) -> int:
    """Bytes of the body, as the request says; 0 where it does not."""
    said = request.headers.get("content-length", "0")
    return int(said) if said.isdecimal() else 0


def _too_large(most: int) -> Refused:
    return Refused(413, f"the image has more than {most:,} bytes: make it smaller")


def _counted(receive: Receive, most: int, error: Refused) -> Receive:
    """What is received, up to a number of bytes."""
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise error
        return message

    return counting
