"""Single questions to a server by HTTP, as in OpenAI's API: models, speech, transcripts."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile as sf
from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.audio.resample import resample
from antiphon.client.address import Address
from antiphon.client.errors import ProtocolError, Unreachable, refusal, why
from antiphon.client.events import Samples
from antiphon.client.sound import RATE, checked, from_pcm
from antiphon.errors import AntiphonError, AudioError

if TYPE_CHECKING:
    import httpx

VOICE = "alloy"  # a name that OpenAI's servers know; ours has one voice, by any name


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Model(_Answer):
    id: str


class _Models(_Answer):
    data: tuple[_Model, ...]


class _Transcript(_Answer):
    text: str


class Door:
    """Where questions go: the address, the key, and how many seconds an answer is waited for."""

    def __init__(self, address: Address, key: str | None, patience: float) -> None:
        self._address, self._key, self._patience = address, key, patience

    async def models(self) -> tuple[str, ...]:
        """The models' names. Raises ClientError."""
        response = await self._ask("GET", "/models")
        try:
            answer = _Models.model_validate_json(response.content)
        except ValidationError:
            raise self._unlike("a list of models") from None
        return tuple(model.id for model in answer.data)

    async def speech(self, text: str, *, model: str | None, voice: str, rate: int) -> Samples:
        """`text` spoken, float32 [N] at `rate` (Hz). Raises ClientError."""
        wanted = {
            "model": self._model(model),
            "input": text,
            "voice": voice,
            "response_format": "pcm",  # 16-bit at 24 kHz, by the API's reference
        }
        response = await self._ask("POST", "/audio/speech", json=wanted)
        try:
            return resample(from_pcm(response.content), RATE, rate)
        except ValueError as error:
            raise ProtocolError(f"{self._address.name} sent {error}") from None

    async def transcribe(
        self, audio: str | os.PathLike[str] | Samples, *, model: str | None, rate: int
    ) -> str:
        """What a recording says. Raises AudioError, ClientError."""
        name, content = _file(audio, rate)
        response = await self._ask(
            "POST",
            "/audio/transcriptions",
            data={"model": self._model(model), "response_format": "json"},
            files={"file": (name, content)},
        )
        try:
            return _Transcript.model_validate_json(response.content).text
        except ValidationError:
            raise self._unlike("a transcript") from None

    def _model(self, model: str | None) -> str:
        return self._address.model if model is None else model

    def _unlike(self, what: str) -> ProtocolError:
        return ProtocolError(
            f"{self._address.name} sent what is not {what}; is the address that of an API?"
        )

    async def _ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        try:
            import httpx
        except ImportError:
            raise AntiphonError(
                "asking a server needs httpx; pip install 'antiphon[client]'"
            ) from None
        name = self._address.name
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            async with httpx.AsyncClient(timeout=self._patience) as http:
                url = f"{self._address.rest}{path}"
                response = await http.request(method, url, headers=headers, **body)
        except httpx.TimeoutException:
            raise Unreachable(f"{name} did not answer within {self._patience:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"nobody answers at {name} ({why(error)}); is the server running?"
            ) from None
        if response.status_code != 200:
            raise refusal(
                name, response.status_code, response.headers, response.content, key=self._key
            )
        return response


def _file(audio: str | os.PathLike[str] | Samples, rate: int) -> tuple[str, bytes]:
    """(name, content) of a recording as it is sent. A file goes as it is: the server reads it."""
    if isinstance(audio, np.ndarray):
        sound = checked(audio)
        if not len(sound):
            raise AudioError("there are no samples to transcribe")
        out = io.BytesIO()
        sf.write(out, np.clip(sound, -1.0, 1.0), rate, format="WAV", subtype="PCM_16")
        return "audio.wav", out.getvalue()
    path = Path(audio)
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error})") from None
