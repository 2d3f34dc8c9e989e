"""Whether two answers of the HTTP API to one query say the same."""

import math
import re


def same_number(a, b):
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    # Compensated and differently ordered sums differ in their last digits.
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) or abs(a - b) < 1e-12


def same_samples(ours, theirs):
    return len(ours) == len(theirs) and all(a[0] == b[0] and same_number(a[1], b[1]) for a, b in zip(ours, theirs))


def in_order(values, descending):
    """With NaN at the end."""
    numbers = [v for v in values if not math.isnan(v)]
    return values[:len(numbers)] == numbers and numbers == sorted(numbers, reverse=descending)


def difference(expression, ours, theirs):
    """What differs in the `data` of two answers ({"error": …} for an error), or None."""
    if "error" in ours or "error" in theirs:
        if "error" not in ours or "error" not in theirs:
            return f"one is an error: {ours.get('error')} / {theirs.get('error')}"
        # The same error, but for names of types that changed.
        strip = lambda text: re.sub(r'^invalid parameter "query": ', "", text)  # noqa: E731
        return None if strip(ours["error"])[:20] == strip(theirs["error"])[:20] else f"errors: {ours['error']} / {theirs['error']}"
    if ours["resultType"] != theirs["resultType"]:
        return f"types {ours['resultType']} / {theirs['resultType']}"
    if ours["resultType"] == "string":
        return None if ours["result"] == theirs["result"][1] else "strings differ"
    if ours["resultType"] == "scalar":
        return None if same_samples([ours["result"]], [theirs["result"]]) else f"{ours['result']} / {theirs['result']}"
    if ours["resultType"] == "vector" and expression.startswith(("sort", "topk(", "bottomk(")):
        if not in_order([float(one["value"][1]) for one in ours["result"]], expression.startswith(("sort_desc", "topk("))):
            return "the values are not in order"
    key = lambda s: sorted(s["metric"].items())  # noqa: E731
    a, b = sorted(ours["result"], key=key), sorted(theirs["result"], key=key)
    if [s["metric"] for s in a] != [s["metric"] for s in b]:
        return f"series {[s['metric'] for s in a][:4]} / {[s['metric'] for s in b][:4]}"
    for ours_one, theirs_one in zip(a, b):
        mine = ours_one.get("values") or [ours_one["value"]]
        other = theirs_one.get("values") or [theirs_one["value"]]
        if not same_samples(mine, other):
            wrong = [(x, y) for x, y in zip(mine, other) if x[0] != y[0] or not same_number(x[1], y[1])]
            return f"{ours_one['metric']}: {len(mine)} / {len(other)} samples, {wrong[:2]}"
    return None
