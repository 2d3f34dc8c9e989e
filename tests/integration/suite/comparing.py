"""Answers of the query API, asked for and compared: what the tests against the real Prometheus share."""

import contextlib
import json
import math
import urllib.parse

from harness import fetch


def same(a, b, tolerance=1e-12):
    """Equal, numbers up to the rounding that 3.x's compensated sums bring over 2.42's plain ones."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b))
    if isinstance(a, str) and isinstance(b, str) and a != b:
        with contextlib.suppress(ValueError):
            return math.isclose(float(a), float(b), rel_tol=tolerance, abs_tol=tolerance)
        return False
    return a == b


def ask(base, path, **params):
    """(status, answer); vectors in label order, which neither side promises, where the query does not sort them itself."""
    status, body = fetch(f"{base}/api/v1/{path}?{urllib.parse.urlencode(params)}", timeout=60)
    answer = json.loads(body) if body.startswith("{") else {"text": body}
    result = answer["data"].get("result") if isinstance(answer.get("data"), dict) else None
    if isinstance(result, list) and not params.get("query", "").startswith(("sort", "topk")):
        with contextlib.suppress(TypeError, KeyError):
            result.sort(key=lambda r: sorted(r["metric"].items()))
    return status, answer
