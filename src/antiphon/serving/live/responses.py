"""Tool calls as the Responses events that a Live session wraps."""

from __future__ import annotations

import json

from antiphon.serving.live.events import Message
from antiphon.serving.turns import ToolCallEvent


def function_call(response: str, item_id: str, model: str, call: ToolCallEvent) -> list[Message]:
    """The events of a finished function call, from `response.created` to its completion."""
    arguments = json.dumps(call.arguments)
    item = {
        "id": item_id,
        "type": "function_call",
        "status": "in_progress",
        "call_id": call.id,
        "name": call.name,
        "arguments": "",
    }
    done = {**item, "status": "completed", "arguments": arguments}
    place = {"item_id": item_id, "output_index": 0}
    argued = {**place, "name": call.name, "arguments": arguments}
    return [
        {"type": "response.created", "response": snapshot(response, "in_progress", model)},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.function_call_arguments.delta", **place, "delta": arguments},
        {"type": "response.function_call_arguments.done", **argued},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": snapshot(response, "completed", model)},
    ]


def snapshot(response: str, status: str, model: str) -> Message:
    """A response as its lifecycle events have it: reduced, as the reference says."""
    return {
        "id": response,
        "object": "response",
        "status": status,
        "model": model,
        "output": [],
        "tools": [],
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
    }
