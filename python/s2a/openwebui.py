"""
title: System 2 Attention
author: s2a
version: 0.1.0
description: Removes opinions and irrelevant sentences from the user's message before the model sees it.
"""
# An Open WebUI filter: paste this file as a function (Admin Panel, Functions). It needs a running `s2a serve`, whose URL is
# a valve; or, without a URL, the package s2a in Open WebUI's own environment.
import asyncio
import json
import threading
import urllib.request

from pydantic import BaseModel, Field


class Filter:
    class Valves(BaseModel):
        priority: int = Field(default=0, description="Filters run in ascending order of this.")
        url: str = Field(default="", description="An s2a server, such as http://127.0.0.1:8080/v1. Empty: the package s2a.")
        api_key: str = Field(default="", description="The key of that server, if it needs one.")
        model: str = Field(default="", description="Server: a model's name without the prefix s2a-. Package: a name or a "
                                                   "GGUF file. Empty: the first one of the server, the default of the package.")
        mode: str = Field(default="default", description="select, rewrite or default.")
        preset: str = Field(default="auto", description="auto, opinion, relevance, untrusted, ...")
        timeout_s: float = Field(default=60, description="Send the original message after so many seconds.")
        strict: bool = Field(default=False, description="Refuse the message if step 1 fails, instead of sending it as it is.")

    def __init__(self):
        self.valves = self.Valves()
        self._engine = None
        self._engine_model = None
        self._lock = threading.Lock()

    async def inlet(self, body: dict, __event_emitter__=None) -> dict:
        """Replaces the text of the last user message, judged by the messages before it, by what is left of it."""
        messages = body.get("messages") or []
        last = max((i for i, m in enumerate(messages) if m.get("role") == "user"), default=None)
        if last is None or not (text := self._text(messages[last])).strip():
            return body
        before = [{"role": m["role"], "content": t} for m in messages[:last] if (t := self._text(m))]
        try:
            left = await asyncio.wait_for(self._attend([*before, {"role": "user", "content": text}]), self.valves.timeout_s)
        except Exception as e:
            if self.valves.strict:
                raise
            await self._say(__event_emitter__, f"s2a: step 1 failed, the message is sent as it is: {str(e) or type(e).__name__}")
            return body
        if left != text:
            self._replace(messages[last], left)
            await self._say(__event_emitter__, f"s2a: the model gets: {left}")
        return body

    # ---- messages: content is a string, or parts of which one is text ---------------------------

    @staticmethod
    def _parts(message: dict) -> list:
        content = message.get("content")
        return [p for p in content if p.get("type") == "text"] if isinstance(content, list) else []

    def _text(self, message: dict) -> str:
        """"" if there is none, or several."""
        content, parts = message.get("content"), self._parts(message)
        return content if isinstance(content, str) else parts[0].get("text") or "" if len(parts) == 1 else ""

    def _replace(self, message: dict, text: str) -> None:
        if isinstance(message["content"], str):
            message["content"] = text
        else:
            self._parts(message)[0]["text"] = text

    @staticmethod
    async def _say(emitter, text: str) -> None:
        if emitter:
            await emitter({"type": "status", "data": {"description": text, "done": True}})

    # ---- step 1 -----------------------------------------------------------------------------------

    async def _attend(self, messages: list) -> str:
        if self.valves.url:
            return await asyncio.to_thread(self._attend_server, messages)
        engine = await asyncio.to_thread(self._open)
        result = await engine.aattend(messages=messages, mode=self.valves.mode, preset=self.valves.preset)
        if result.fallback:
            raise RuntimeError(result.fallback_detail or result.fallback)
        return result.rewritten

    def _open(self):
        import s2a

        with self._lock:
            if self._engine is None or self._engine_model != self.valves.model:
                self._engine = s2a.Engine(self.valves.model or None)
                self._engine_model = self.valves.model
            return self._engine

    def _attend_server(self, messages: list) -> str:
        """Both steps, of which the second one writes a token."""
        model = self.valves.model or self._request("/models")["data"][0]["id"]
        reply = self._request("/chat/completions", {
            "model": model.removeprefix("s2a-"), "messages": messages, "max_tokens": 1,
            "s2a": {"mode": self.valves.mode, "preset": self.valves.preset, "explain": True},
        })
        said = reply["s2a"]
        if said["fallback"]:
            raise RuntimeError(said.get("fallback_detail") or said["fallback"])
        return said["rewritten"]

    def _request(self, path: str, body: dict | None = None) -> dict:
        fields = {"Content-Type": "application/json"}
        if self.valves.api_key:
            fields["Authorization"] = "Bearer " + self.valves.api_key
        request = urllib.request.Request(self.valves.url.rstrip("/") + path, headers=fields,
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=self.valves.timeout_s) as reply:
            return json.load(reply)
