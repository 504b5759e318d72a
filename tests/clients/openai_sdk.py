"""Clients of OpenAI's SDK for Python, and an image, for the tests of its two APIs."""
import base64

import openai

IMAGE = bytes(range(256)) * 40
IMAGE_URL = "data:image/png;base64," + base64.b64encode(IMAGE).decode()


def client(url, **more):
    return openai.OpenAI(**{"base_url": url, "api_key": "none", "max_retries": 0, "timeout": 240, **more})


def asynchronous(url, **more):
    return openai.AsyncOpenAI(**{"base_url": url, "api_key": "none", "max_retries": 0, "timeout": 240, **more})
