"""The memory of words: what was heard, said and called, in order, without the time between.

The trunk lives in frames: a tool call must copy a few words that lie somewhere in a hundred frames,
and a small network finds them badly ("seven four double four" heard, 744 called). Here a position
is a word piece, not a frame, so that what belongs together stands together. A causal transformer
over these events tells what the next token of a call is; *when* to call is the trunk's to know,
which hears the line and sees time pass.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from antiphon.model.backbone import Backbone
from antiphon.model.config import PAD, MemoryConfig
from antiphon.model.state import State, keep_idle, prefixed, scope


class WordMemory(nn.Module):
    """What stands in the three text streams, as one vector after each event.

    An event is a frame in which a piece was said, a piece was heard or a token was called; what
    falls into one frame is one event. The window is in events.
    """

    def __init__(self, config: MemoryConfig, text_vocabulary: int, call_vocabulary: int) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.said = nn.Embedding(text_vocabulary, width)
        self.heard = nn.Embedding(text_vocabulary, width)
        self.called = nn.Embedding(call_vocabulary, width)
        self.backbone = Backbone(config)
        self.call_head = nn.Linear(width, call_vocabulary)

    def initial_state(self, batch: int) -> State:
        """Nothing has happened."""
        return {
            "now": torch.zeros(batch, self.config.hidden_size),
            **prefixed("backbone", self.backbone.initial_state(batch)),
        }

    def _embed(self, said: Tensor, heard: Tensor, called: Tensor) -> Tensor:
        return self.said(said) + self.heard(heard) + self.called(called)

    def forward(self, said: Tensor, heard: Tensor, called: Tensor) -> Tensor:
        """The memory after each frame: ids [B, T] to [B, T, hidden_size]."""
        happened = (said != PAD) | (heard != PAD) | (called != PAD)
        upto = happened.cumsum(dim=1)  # events up to and with each frame
        most = max(int(upto[:, -1].max()), 1)
        time = torch.arange(said.shape[1], device=said.device).expand_as(said)
        # Where the n-th event is; frames without one write into a column that is dropped.
        at = torch.zeros(len(said), most + 1, dtype=torch.int64, device=said.device)
        at = at.scatter(1, torch.where(happened, upto - 1, most), time)[:, :most]
        x = self._embed(said.gather(1, at), heard.gather(1, at), called.gather(1, at))
        y, _ = self.backbone(x)
        y = F.pad(y, (0, 0, 1, 0))  # before the first event there is nothing
        return y.gather(1, upto[..., None].expand(-1, -1, y.shape[-1]))

    def step(
        self, said: Tensor, heard: Tensor, called: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """The memory [B, hidden_size] after one more frame: ids [B], PAD where nothing happened."""
        happened = (said != PAD) | (heard != PAD) | (called != PAD)
        x = self._embed(said, heard, called)[:, None]
        y, backbone = self.backbone(x, scope(state, "backbone"))
        new = keep_idle({"now": y[:, 0], **prefixed("backbone", backbone)}, state, happened)
        return new["now"], new

    def weigh(self, call: Tensor, now: Tensor) -> Tensor:
        """The trunk's logits of a call [..., V] with what the memory `now` [..., C] knows.

        Which token it is, is the product of both beliefs, its own to the power of `trust`. Whether
        it is one at all stays with the trunk: the best token stands as high above PAD as the
        trunk's own best, so that two tokens which the trunk wavers between do not add up to a call
        that it would not have made.
        """
        token = call[..., 1:]
        own = F.log_softmax(self.call_head(now)[..., 1:], dim=-1)
        both = token + self.config.trust * own
        both = both - both.amax(dim=-1, keepdim=True) + token.amax(dim=-1, keepdim=True)
        return torch.cat([call[..., :1], both], dim=-1)
