"""Queries from the grammar, at random: well-typed for the most part, over the series of dashboard_data.

Subqueries end their windows at odd milliseconds: 2.42 includes the first instant of a window and 3.x does not."""

import random
import re

METRICS = {  # name: labels to group and match by
    "node_cpu_seconds_total": ("instance", "cpu", "mode"), "node_load1": ("instance", "job"), "node_memory_MemFree_bytes": ("instance",),
    "node_filesystem_avail_bytes": ("instance", "device", "mountpoint", "fstype"), "node_network_receive_bytes_total": ("instance", "device"),
    "kube_pod_status_phase": ("namespace", "pod", "phase"), "kube_pod_container_status_restarts_total": ("namespace", "pod", "container"),
    "container_cpu_usage_seconds_total": ("namespace", "pod", "container", "node"), "container_memory_rss": ("namespace", "pod", "container"),
    "http_requests_total": ("job", "instance", "code", "method"), "http_request_duration_seconds_bucket": ("job", "instance", "le"),
    "http_requests_in_flight": ("job", "instance"), "queue_length": ("job", "instance"), "up": ("job", "instance"),
    "batch_duration_seconds": ("job",), "go_goroutines": ("job", "instance"), "probe_success": ("instance", "module"), "missing_metric": ("job",),
}
VALUES = {
    "instance": ("node1:9100", "node2:9100", "cart-1:8080", "checkout-2:8080"), "job": ("node", "cart", "checkout", "kubelet"), "cpu": ("0", "3"),
    "mode": ("idle", "user", "iowait"), "device": ("eth0", "/dev/sda1", "lo"), "mountpoint": ("/", "/var/lib"), "fstype": ("ext4", "tmpfs"),
    "namespace": ("shop", "infra"), "phase": ("Running", "Pending"), "container": ("app", "proxy"), "node": ("node1", "node2"), "code": ("200", "500"),
    "method": ("GET", "POST"), "le": ("0.1", "+Inf"), "pod": ("none",), "module": ("web",),
}
REGEXES = ("{v}|x", ".*", ".+", "{v}.*", "[a-n].*", "", ".*{v}")
RANGES = ("1m", "2m", "5m", "7m13s", "30m", "1h")
OVER_TIME = ("sum", "avg", "min", "max", "count", "last", "present", "stddev", "stdvar")
RANGE_FUNCTIONS = ("rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets", *(f"{n}_over_time" for n in OVER_TIME))
MAPS = ("abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "sin", "cos", "atan", "tanh", "deg", "rad", "timestamp", "round",
        "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year", "sort", "sort_desc")
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")


class Generator:
    def __init__(self, rng):
        self.rng = rng

    def pick(self, of):
        return self.rng.choice(of)

    def number(self):
        return self.pick(("0", "1", "2", "0.5", "-1", "1e3", "100", "3.7", "1e-3", "NaN", "Inf", "-Inf", "60"))

    def duration(self):
        return self.pick(("1m", "5m", "13m", "1h", "90s"))

    def selector(self):
        name = self.pick(list(METRICS))
        matchers = []
        for label in METRICS[name]:
            if self.rng.random() < 0.25:
                value = self.pick(VALUES[label])
                if self.rng.random() < 0.6:
                    matchers.append(f'{label}{self.pick(("=", "=", "!="))}"{value}"')
                else:
                    matchers.append(f'{label}{self.pick(("=~", "!~"))}"{self.pick(REGEXES).format(v=value)}"')
        return name, METRICS[name], name + ("{" + ",".join(matchers) + "}" if matchers else "")

    def shifted(self):
        odds = self.rng.random()
        if odds < 0.15:
            return f" offset {self.pick(('', '-'))}{self.duration()}"
        if odds < 0.2:
            return f" @ {self.pick(('start()', 'end()', '1700003000.5'))}"
        return ""

    def labels(self, known):
        some = [one for one in known if self.rng.random() < 0.5]
        if self.rng.random() < 0.1:
            some.append(self.pick(list(VALUES)))
        return some

    def grouping(self, known):
        odds = self.rng.random()
        if odds < 0.3:
            return ""
        return f' {"by" if odds < 0.75 else "without"} ({", ".join(self.labels(known))})'

    def range_vector(self, depth):
        if depth > 0 and self.rng.random() < 0.2:
            known, inner = self.vector(depth - 1)
            return known, f'({inner})[{self.pick(("9m51s300ms", "29m51s300ms", "59m51s300ms"))}:{self.pick(("1m", "3m", "", "47s"))}]' + self.shifted()
        _, known, selector = self.selector()
        return known, f"{selector}[{self.pick(RANGES)}]" + self.shifted()

    def scalar(self, depth):
        odds = self.rng.random()
        if depth <= 0 or odds < 0.6:
            return self.number()
        if odds < 0.7:
            return "time()"
        if odds < 0.8:
            return f"scalar({self.vector(depth - 1)[1]})"
        return f"({self.scalar(depth - 1)} {self.pick(ARITHMETIC)} {self.scalar(depth - 1)})"

    def matching(self, left, right):
        """The words between an operator and its right side; the labels that are left."""
        odds = self.rng.random()
        both = [one for one in left if one in right]
        if odds < 0.35 or not both:
            return "", left
        on = self.rng.random() < 0.7
        some = self.labels(both) or both[:1]
        words = f' {"on" if on else "ignoring"} ({", ".join(some)})'
        if self.rng.random() < 0.45:
            side = self.pick(("left", "right"))
            extra = self.labels(right if side == "left" else left)
            extra = [one for one in extra if not (on and one in some)]
            words += f' group_{side} ({", ".join(extra[:1])})'
            return words, left if side == "left" else right
        return words, some if on else left

    def vector(self, depth):
        """(labels that it may have, expression)."""
        odds = self.rng.random()
        if depth <= 0 or odds < 0.12:
            _, known, selector = self.selector()
            return known, selector + self.shifted()
        if odds < 0.36:
            known, inner = self.range_vector(depth - 1)
            odds = self.rng.random()
            if odds < 0.1:
                return known, f"quantile_over_time({self.pick(('0.5', '0.9', '0', '1', '-1', '2'))}, {inner})"
            if odds < 0.15:
                return known, f"predict_linear({inner}, {self.pick(('60', '3600'))})"
            if odds < 0.2:
                return known, f"absent_over_time({inner})"
            return known, f"{self.pick(RANGE_FUNCTIONS)}({inner})"
        if odds < 0.56:
            known, inner = self.vector(depth - 1)
            grouping = self.grouping(known)
            odds = self.rng.random()
            if odds < 0.12:
                return known, f"{self.pick(('topk', 'bottomk'))}{grouping} ({self.pick(('1', '2', '5', '0'))}, {inner})"
            if odds < 0.2:
                return known, f"quantile{grouping} ({self.pick(('0.3', '0.5', '0.99'))}, {inner})"
            if odds < 0.26:
                return known, f'count_values{grouping} ("v", round({inner}, {self.pick(("1", "1000", "1e7"))}))'
            return known, f"{self.pick(AGGREGATIONS)}{grouping} ({inner})"
        if odds < 0.68:
            known, inner = self.vector(depth - 1)
            odds = self.rng.random()
            if odds < 0.15:
                return known, f"clamp{self.pick(('_min', '_max'))}({inner}, {self.scalar(0)})"
            if odds < 0.25:
                target, source = self.pick(("new", *known)), self.pick(known)
                return known, f'label_replace({inner}, "{target}", "{self.pick(("$1-x", "k", ""))}", "{source}", "{self.pick(("(.*)", "(no.*)", "zz"))}")'
            if odds < 0.3:
                return known, f'label_join({inner}, "joined", "-", "{self.pick(known)}", "job")'
            if odds < 0.35:
                return known, f"absent({inner})"
            if odds < 0.4:
                return known, f"-({inner})"
            if odds < 0.5 and depth > 1:
                return ("job", "instance"), f"histogram_quantile({self.pick(('0.5', '0.9', '0.99'))}, {self.pick(('sum by (job, le)', 'sum by (le)', 'avg by (le, instance)'))} " \
                    f"(rate(http_request_duration_seconds_bucket[{self.pick(RANGES[2:])}])))"
            return known, f"{self.pick(MAPS)}({inner})"
        known, left = self.vector(depth - 1)
        odds = self.rng.random()
        if odds < 0.35:
            op = self.pick(ARITHMETIC + COMPARISONS)
            bool_word = " bool" if op in COMPARISONS and self.rng.random() < 0.3 else ""
            if self.rng.random() < 0.3:
                return known, f"({self.scalar(depth - 1)} {op}{bool_word} {left})"
            return known, f"({left} {op}{bool_word} {self.scalar(depth - 1)})"
        # Sides that often fit: the same expression, a part of it, or another one.
        fits = self.rng.random() < 0.6
        right_known, right = (known, self.vary(left)) if fits else self.vector(depth - 1)
        if odds < 0.55:
            words = "" if self.rng.random() < 0.4 else f' on ({", ".join(self.labels(known))})'
            return known, f'({left} {self.pick(("and", "or", "unless"))}{words} {right})'
        op = self.pick(ARITHMETIC + COMPARISONS)
        bool_word = " bool" if op in COMPARISONS and self.rng.random() < 0.3 else ""
        words, known = self.matching(known, right_known)
        return known or ("job",), f"({left} {op}{bool_word}{words} {right})"

    def vary(self, expression):
        odds = self.rng.random()
        if odds < 0.3:
            return f"({expression} > {self.number()})"
        if odds < 0.5:
            return f"max_over_time(({expression})[4m51s300ms:1m])"
        return f"({expression})"

    def any(self, depth):
        odds = self.rng.random()
        if odds < 0.05:
            return self.scalar(depth)
        if odds < 0.08:
            return self.damage(self.vector(depth)[1])
        return self.vector(depth)[1]

    def damage(self, expression):
        at = self.rng.randrange(len(expression))
        odds = self.rng.random()
        if odds < 0.5:
            return expression[:at] + expression[at + 1:]
        return expression[:at] + self.pick("(){}[]\"=~,:5 a") + expression[at:]


def generate(seed, count):
    generator = Generator(random.Random(seed))
    return [generator.any(generator.rng.randrange(1, 5)) for _ in range(count)]


DATES = re.compile(r"\b(minute|hour|day_of_week|day_of_month|day_of_year|days_in_month|month|year)\(")
# Of what is no counter far from zero.
COUNTERS = "node_cpu_seconds_total|node_network_receive_bytes_total|container_cpu_usage_seconds_total|http_requests_total|http_request_duration_seconds_bucket"
RATES_NEAR_ZERO = re.compile(rf"\b(rate|increase)\((?!{COUNTERS})")


def explained(expression, what):
    """Why an answer may differ from that of 2.42, or None."""
    values = not what.startswith(("series", "one is", "types", "2", "4", "5"))
    if "atan2" in expression and what.startswith("series"):
        return "2.42 keeps the metric's name after atan2"
    if "label name in label_" in what and what.startswith("200"):
        return "3.x takes any UTF-8 text as a label name"
    if "missing unit character in duration" in what:
        return "3.x takes numbers of seconds as durations"
    if "predict_linear" in expression and "@" in expression and values:
        return "2.42 moves the window of predict_linear on in spite of @"
    fewer = re.search(r": (\d+) / (?!\1 )\d+ samples", what)
    if ("stddev" in expression or "stdvar" in expression) and ("NaN" in what or fewer) and values:
        return "the deviation of one infinite value is NaN in 3.x, and whether two deviations are equal is rounding"
    if ("topk" in expression or "bottomk" in expression) and what.startswith("series"):
        return "which of equal values topk takes is open"
    if RATES_NEAR_ZERO.search(expression) and values:
        return "2.42 extrapolates otherwise near zero"
    if DATES.search(expression) and (values or what.startswith("series")):
        return "the date of a number that no date has is open"
    if "^" in expression and re.search(r"\b(sin|cos)\(", expression) and values:
        return "powers differ in the last digit, and sines of large ones altogether"
    if "multiple matches for labels" in what and "/ 200" in what:
        return "3.x looks for ambiguous matches before it filters"
    if re.search(r"%|\b(resets|changes)\(.*_over_time", expression) and values:
        return "rounding decides what % leaves, and whether computed values are equal"
    return None
