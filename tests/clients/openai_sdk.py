"""Clients of OpenAI's SDK for Python, and an image, for the tests of its two APIs."""
import base64

import openai
import pytest

IMAGE = bytes(range(256)) * 40
IMAGE_URL = "data:image/png;base64," + base64.b64encode(IMAGE).decode()


def client(url, **more):
    return openai.OpenAI(**{"base_url": url, "api_key": "none", "max_retries": 0, "timeout": 240, **more})


def asynchronous(url, **more):
    return openai.AsyncOpenAI(**{"base_url": url, "api_key": "none", "max_retries": 0, "timeout": 240, **more})


FAULTS = [("fail-500", openai.InternalServerError, 500), ("fail-429", openai.RateLimitError, 429),
          ("fail-401", openai.AuthenticationError, 401), ("fail-400", openai.BadRequestError, 400)]
faults = pytest.mark.parametrize("model, kind, status", FAULTS)


def check_upstream_fault(create, proxy, model, kind, status, stream):
    """Upstream's error reaches the SDK as what it is; create is an API's own."""
    if stream and model.startswith("s2a-"):
        # The head has gone when it happens, so it is an error event; the SDK raises its base class.
        with pytest.raises(openai.APIError, match="fake %d" % status):
            list(create(proxy, model, stream=True))
        return
    with pytest.raises(kind) as e:
        list(create(proxy, model, stream=stream))
    assert e.value.status_code == status and e.value.code == "fake_%d" % status
    assert e.value.response.headers["x-fake"] == "yes"
