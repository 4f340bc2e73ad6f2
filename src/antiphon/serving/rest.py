"""Plain HTTP from the same weights: models, text to speech, transcriptions, ephemeral secrets.

The bodies, answers and errors are those of OpenAI's API, so that its clients read them. The network
runs in threads of low priority and few at a time, for calls that are going on come first.
"""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import soundfile as sf
from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from antiphon.audio import SAMPLE_RATE
from antiphon.audio.io import info, read
from antiphon.audio.resample import resample
from antiphon.corpus.delivery import delivery
from antiphon.errors import AntiphonError, BundleError
from antiphon.runtime.agent import Transcript
from antiphon.runtime.events import Samples
from antiphon.serving.admission import Refused
from antiphon.serving.auth import LONGEST, SHORTEST, Caller
from antiphon.serving.config import ServerConfig
from antiphon.serving.house import House, welcome
from antiphon.serving.problems import Unfit
from antiphon.serving.realtime.configuration import first_session, update
from antiphon.serving.realtime.events import Wrong

PCM_RATE = 24_000  # Hz, of "pcm", which has no header that could say so
NICE = 10  # by how much the threads stand back behind the clock's
_LETTER, _BREATH = 0.075, 0.08  # seconds: words are told by their end, this guesses the start

_CONTAINERS = {
    "wav": ("WAV", "PCM_16", "audio/wav"),
    "flac": ("FLAC", "PCM_16", "audio/flac"),
    "mp3": ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
    "opus": ("OGG", "OPUS", "audio/ogg"),
}

T = TypeVar("T")


class Bench:
    """A few threads for work that nobody is on the telephone for."""

    def __init__(self, jobs: int, waiting: int, retry: int) -> None:
        self._most, self._retry = jobs + waiting, retry
        self._there = 0
        self._pool = ThreadPoolExecutor(jobs, "antiphon-rest", initializer=_stand_back)

    async def do(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread. Raises Refused when too much waits."""
        if self._there >= self._most:
            raise Refused(
                503, "server_busy", "too many texts and files wait here", retry=self._retry
            )
        self._there += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._there -= 1

    def close(self) -> None:
        """Let nothing more begin."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _stand_back() -> None:
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


@asynccontextmanager
async def bench(config: ServerConfig) -> AsyncGenerator[Bench]:
    """The threads, for as long as the server runs."""
    made = Bench(config.rest_jobs, config.rest_waiting, config.retry_seconds)
    try:
        yield made
    finally:
        made.close()


def _house(request: Request) -> House:
    return request.app.state.house


def _caller(request: Request) -> Caller:
    return welcome(_house(request), request)


At = Annotated[House, Depends(_house)]
Who = Annotated[Caller, Depends(_caller)]
router = APIRouter(prefix="/v1")


# -- models -----------------------------------------------------------------------------------


class Model(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    """Seconds since 1970."""
    owned_by: str = "antiphon"


class Models(BaseModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/models")
async def models(house: At, _: Who) -> Models:
    """The one model that is served."""
    return Models(data=[_model(house)])


@router.get("/models/{name}")
async def model(name: str, house: At, _: Who) -> Model:
    """A model by its name."""
    if name != house.model:
        raise Unfit(
            f"there is no model {name!r} here; there is {house.model!r}", "model", status=404
        )
    return _model(house)


def _model(house: House) -> Model:
    graph = house.agent.bundle.graph
    return Model(id=house.model, created=int(graph.stat().st_mtime))


# -- text to speech ---------------------------------------------------------------------------


class SpeechRequest(BaseModel):
    """What is to be said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = ""
    """Any name: one voice is served."""
    input: str
    voice: Any = None
    """Any: the agent has one voice."""
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm", "aac"] = "mp3"
    speed: Annotated[float, Field(ge=0.5, le=1.5)] = 1.0
    style: Literal["neutral", "calm", "warm", "brisk", "apologetic"] | None = None
    """Ours."""
    instructions: str | None = None
    """Not followed."""
    stream_format: Literal["audio", "sse"] = "audio"


_SOUND = {"schema": {"type": "string", "format": "binary"}}
_KINDS = (*(kind for _, _, kind in _CONTAINERS.values()), "audio/pcm")


@router.post(
    "/audio/speech",
    response_class=Response,
    responses={200: {"content": {kind: _SOUND for kind in _KINDS}}},
)
async def speech(wanted: SpeechRequest, house: At, _: Who) -> Response:
    """A text in the agent's voice."""
    speed = None if wanted.speed == 1.0 else wanted.speed
    try:
        house.clock.check_delivery(delivery(wanted.style, speed))
    except BundleError as error:
        raise Unfit(str(error), "speed" if wanted.style is None else "style") from None
    if wanted.stream_format != "audio":
        raise Unfit("speech is not sent as events here; use stream_format audio", "stream_format")
    if wanted.response_format == "aac":
        raise Unfit("aac is not made here; use mp3, opus, flac, wav or pcm", "response_format")
    most = house.config.text_letters
    if len(wanted.input) > most:
        raise Unfit(f"the text has {len(wanted.input)} letters; {most} are spoken at most", "input")
    house.clock.check_sayable(wanted.input)
    body, kind = await house.bench.do(
        lambda: write(
            house.agent.say(wanted.input, style=wanted.style, speed=speed), wanted.response_format
        )
    )
    return Response(body, media_type=kind)


def write(voice: Samples, form: str) -> tuple[bytes, str]:
    """(file, media type) of float32 [N] at 16 kHz. `pcm` is 16-bit, 24 kHz, without a header."""
    if form == "pcm":
        moved = resample(voice, SAMPLE_RATE, PCM_RATE)
        pcm = np.clip(np.rint(moved * 32768.0), -32768, 32767).astype("<i2")
        return pcm.tobytes(), f"audio/pcm;rate={PCM_RATE}"
    container, subtype, kind = _CONTAINERS[form]
    rate = SAMPLE_RATE
    out = io.BytesIO()
    try:
        sf.write(out, np.clip(voice, -1, 1), rate, format=container, subtype=subtype)
    except (sf.LibsndfileError, ValueError) as error:
        raise Unfit(
            f"{form} cannot be written by this server's libsndfile ({error}); use wav or flac",
            "response_format",
        ) from None
    return out.getvalue(), kind


# -- transcriptions ---------------------------------------------------------------------------

_TEXTS = ("json", "text", "verbose_json", "srt", "vtt")


class Usage(BaseModel):
    """What a transcription has cost: how long its recording is."""

    type: Literal["duration"]
    seconds: int


class Transcribed(BaseModel):
    """What a recording says. Beside the text and the usage all is of `verbose_json` alone."""

    text: str
    usage: Usage
    task: str | None = None
    language: str | None = None
    duration: float | None = None
    words: list[dict[str, Any]] | None = None
    segments: list[dict[str, Any]] | None = None


@router.post(
    "/audio/transcriptions",
    responses={
        200: {"model": Transcribed, "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def transcriptions(
    house: At,
    _: Who,
    file: Annotated[UploadFile, File()],
    model: Annotated[str, Form()] = "",
    response_format: Annotated[str, Form()] = "json",
    language: Annotated[str | None, Form()] = None,
    stream: Annotated[bool, Form()] = False,
) -> Response:
    """What a recording says, by the agent's own hearing."""
    if response_format not in _TEXTS:
        raise Unfit(f"response_format is one of {', '.join(_TEXTS)}", "response_format")
    if stream:
        raise Unfit("transcriptions are not streamed here; use the realtime protocol", "stream")
    if file.size is not None and file.size > house.config.upload_bytes:
        raise Unfit(
            f"the file is larger than {house.config.upload_bytes} bytes", "file", status=413
        )
    suffix = Path(file.filename or "").suffix[:10]
    content = await file.read()
    heard, seconds = await house.bench.do(
        lambda: _transcribe(house, content, suffix, house.config.upload_seconds)
    )
    words = timed(heard, seconds)
    if response_format == "text":
        return PlainTextResponse(f"{heard.text}\n")
    if response_format in ("srt", "vtt"):
        return PlainTextResponse(subtitles(words, response_format))
    usage = {"type": "duration", "seconds": round(seconds)}
    if response_format == "json":
        return JSONResponse({"text": heard.text, "usage": usage})
    return JSONResponse(
        {
            "task": "transcribe",
            "language": "english" if language in (None, "en") else language,
            "duration": round(seconds, 3),
            "text": heard.text,
            "words": [{"word": w, "start": a, "end": b} for w, a, b in words],
            "segments": [
                {
                    "id": number,
                    "seek": 0,
                    "start": line[0][1],
                    "end": line[-1][2],
                    "text": " ".join(word for word, *_ in line),
                    "tokens": [],
                    "temperature": 0.0,
                    "avg_logprob": 0.0,
                    "compression_ratio": 1.0,
                    "no_speech_prob": 0.0,
                }
                for number, line in enumerate(lines(words))
            ],
            "usage": usage,
        }
    )


def _transcribe(
    house: House, content: bytes, suffix: str, most_seconds: float
) -> tuple[Transcript, float]:
    with tempfile.NamedTemporaryFile(suffix=suffix) as part:
        part.write(content)
        part.flush()
        try:
            seconds = info(part.name).seconds
            if seconds > most_seconds:
                raise Unfit(
                    f"{seconds:.0f} s are more than the {most_seconds:.0f} that are transcribed "
                    "at most; cut the recording",
                    "file",
                )
            samples = read(part.name)
        except AntiphonError as error:
            # Its sentence names our file, not the client's.
            raise Unfit(
                f"file: {str(error).removeprefix(part.name).lstrip(': ')}", "file"
            ) from None
    return house.agent.transcribe(samples), seconds


Word = tuple[str, float, float]


def timed(heard: Transcript, seconds: float) -> list[Word]:
    """(word, start, end) in seconds; a start is guessed from the word's length."""
    words: list[Word] = []
    for event in heard.words:
        end = min(event.end, seconds)
        start = max(0.0, end - _BREATH - _LETTER * len(event.text))
        if words:
            start = min(max(start, words[-1][2]), end)
        words.append((event.text, round(start, 3), round(end, 3)))
    return words


def lines(words: list[Word], gap: float = 1.0) -> list[list[Word]]:
    """Words parted where the voice rests for longer than `gap` seconds."""
    parted: list[list[Word]] = []
    for word in words:
        if parted and word[1] - parted[-1][-1][2] <= gap:
            parted[-1].append(word)
        else:
            parted.append([word])
    return parted


def subtitles(words: list[Word], form: str) -> str:
    """SubRip ("srt") or WebVTT ("vtt")."""
    comma = "," if form == "srt" else "."
    out = ["WEBVTT", ""] if form == "vtt" else []
    for number, line in enumerate(lines(words), 1):
        times = f"{_stamp(line[0][1], comma)} --> {_stamp(line[-1][2], comma)}"
        out += [str(number), times, " ".join(word for word, *_ in line), ""]
    return "\n".join(out)


def _stamp(seconds: float, comma: str) -> str:
    millis = round(seconds * 1e3)
    hours, rest = divmod(millis, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{comma}{rest % 1000:03}"


# -- ephemeral secrets ------------------------------------------------------------------------


class ExpiresAfter(BaseModel):
    """How long a secret can open sessions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=600, ge=SHORTEST, le=LONGEST)


class SecretRequest(BaseModel):
    """A secret and what it is bound to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expires_after: ExpiresAfter | None = None
    session: dict[str, Any] | None = None


class Secret(BaseModel):
    """A secret, until when it can be used (seconds since 1970), and the session it opens."""

    value: str
    expires_at: int
    session: dict[str, Any]


@router.post("/realtime/client_secrets")
async def client_secrets(house: At, caller: Who, wanted: SecretRequest) -> Secret:
    """A secret for a browser: it opens sessions that begin as they are configured here."""
    patch = wanted.session or {}
    try:
        session = update(first_session(house.model, house.instructions, house.tools), patch)
    except Wrong as wrong:
        raise Unfit(wrong.message, wrong.param) from None
    after = wanted.expires_after
    seconds = after.seconds if after is not None else house.config.secret_seconds
    value, expires = house.gatekeeper.secret(caller, patch, seconds)
    id = f"sess_{secrets.token_hex(12)}"
    shown = {"id": id, "object": "realtime.session", "expires_at": 0, **session.as_json()}
    return Secret(value=value, expires_at=expires, session=shown)
