"""The sizes of a duplex network."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

PAD = 0  # text and call streams: nothing in this frame
END = 1  # text streams: the turn is over; call stream: the call is complete
FIRST_PIECE = 2  # text ids from here on are SentencePiece ids + FIRST_PIECE
POSITIONS = 2  # of the encoder in one 80 ms frame

TURN_STATES = ("listening", "speaking", "yielding", "backchannelling")
TONES = ("neutral", "annoyed", "hesitant", "cheerful")


class EncoderConfig(BaseModel):
    """The causal acoustic encoder, 25 Hz inside and two positions a frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mels: int = 80
    width: int = 256
    layers: int = 6
    heads: int = 4
    feedforward: int = 1024
    kernel: int = 9  # taps of the depthwise convolution
    window: int = 64  # past positions that attention sees, 40 ms each
    ctc_rate: int = 1  # characters that a position may write: 1 fails above 25 a second
    dropout: float = 0.05

    @property
    def written(self) -> int:
        """What CTC writes in one frame, blanks among it."""
        return POSITIONS * self.ctc_rate


class BackboneConfig(BaseModel):
    """The decoder-only trunk, 12.5 Hz; field names as in Hugging Face's Llama and Qwen3."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_size: int = 256
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    intermediate_size: int = 768
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    qk_norm: bool = True  # normalise queries and keys a head, as Qwen3 does
    window: int = 300  # past frames that attention sees, 80 ms each
    dropout: float = 0.0

    @model_validator(mode="after")
    def _heads_divide(self) -> BackboneConfig:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")
        if self.head_dim % 2:
            raise ValueError("head_dim must be even: positions turn pairs of it")
        return self


class MemoryConfig(BackboneConfig):
    """The memory of words: the same kind of layers, whose window is in events."""

    hidden_size: int = 192
    num_hidden_layers: int = 3
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 48
    intermediate_size: int = 512
    window: int = 192
    # The weight of its belief about a call's token; that of the trunk's is 1. More copies the
    # transcript more faithfully, where that is right and where it is wrong.
    trust: float = Field(default=1.0, gt=0)


class ModelConfig(BaseModel):
    """The whole duplex network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text_vocabulary: int  # PAD, END and the SentencePiece pieces
    call_vocabulary: int
    characters: int = 29  # blank, space, a to z, apostrophe: the CTC alphabet
    codebooks: int = 6
    codebook_size: int = 1024
    encoder: EncoderConfig = EncoderConfig()
    backbone: BackboneConfig = BackboneConfig()
    depth_expansion: int = 2
    memory: MemoryConfig | None = None

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelConfig:
        if self.encoder.width % self.encoder.heads:
            raise ValueError("encoder.width must be a multiple of encoder.heads")
        return self
