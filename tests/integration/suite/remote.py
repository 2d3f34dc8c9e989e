"""Remote write and remote read as a small client speaks them: protobuf and snappy by hand, standard library only."""

import struct

from harness import fetch

STALE = struct.unpack(">d", bytes.fromhex("7ff0000000000002"))[0]


def uvarint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return (n << 1) ^ (n >> 63)


def field(number, payload):
    """One field: bytes and str are length-delimited, floats are doubles, integers varints."""
    if isinstance(payload, str):
        payload = payload.encode()
    if isinstance(payload, bytes):
        return uvarint(number << 3 | 2) + uvarint(len(payload)) + payload
    if isinstance(payload, float):
        return uvarint(number << 3 | 1) + struct.pack("<d", payload)
    return uvarint(number << 3) + uvarint(payload)


def packed(number, values, code):
    return field(number, b"".join(code(v) for v in values)) if values else b""


def snappy(data):
    """Valid snappy without any compression."""
    out = bytearray(uvarint(len(data)))
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


def read_uvarint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def unsnappy(data):
    size, at = read_uvarint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                n = length - 59
                length = int.from_bytes(data[at:at + n], "little")
                at += n
            out += data[at:at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            n = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + n], "little")
            at += n
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == size, (len(out), size)
    return bytes(out)


def fields(message):
    """[(number, value)] of a message, values as integers or bytes."""
    at, result = 0, []
    while at < len(message):
        key, at = read_uvarint(message, at)
        if key & 7 == 0:
            value, at = read_uvarint(message, at)
        elif key & 7 == 1:
            value, at = message[at:at + 8], at + 8
        elif key & 7 == 2:
            length, at = read_uvarint(message, at)
            value, at = message[at:at + length], at + length
        else:
            raise ValueError(f"wire type {key & 7}")
        result.append((key >> 3, value))
    return result


def labels_message(labels, number=1):
    return b"".join(field(number, field(1, k) + field(2, v)) for k, v in sorted(labels.items()))


def sample(timestamp_ms, value):
    return field(2, field(1, float(value)) + field(2, timestamp_ms))


def exemplar(labels, timestamp_ms, value):
    return field(3, labels_message(labels) + field(2, float(value)) + field(3, timestamp_ms))


def histogram(timestamp_ms, schema, spans, counts, total, zero=0, threshold=1e-128, integer=True):
    """A native histogram of positive buckets: spans of (offset, length), absolute counts."""
    body = field(1, sum(counts) + zero) if integer else field(2, float(sum(counts) + zero))
    body += field(3, float(total)) + field(4, zigzag(schema)) + field(5, float(threshold))
    body += field(6, zero) if integer else field(7, float(zero))
    body += b"".join(field(11, field(1, zigzag(offset)) + field(2, length)) for offset, length in spans)
    if integer:
        deltas = [c - b for c, b in zip(counts, [0, *counts])]
        body += packed(12, deltas, lambda d: uvarint(zigzag(d)))
    else:
        body += packed(13, counts, lambda c: struct.pack("<d", c))
    return field(4, body + field(15, timestamp_ms))


def series(labels, *parts):
    return field(1, labels_message(labels) + b"".join(parts))


def metadata(name, kind, help_text, unit=""):
    return field(3, field(1, kind) + field(2, name) + field(4, help_text) + field(5, unit))


def write(base, *parts, version="0.1.0"):
    """(status, body) of a remote write 1.0 request made of series() and metadata()."""
    return fetch(f"{base}/api/v1/write", data=snappy(b"".join(parts)), method="POST", timeout=60, headers={
        "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": version})


def read_request(matchers, start_ms, end_ms, streamed=False):
    """matchers: (type, name, value), type 0 =, 1 !=, 2 =~, 3 !~."""
    query = field(1, start_ms) + field(2, end_ms)
    query += b"".join(field(3, field(1, kind) + field(2, name) + field(3, value)) for kind, name, value in matchers)
    return snappy(field(1, query) + (field(2, 1) if streamed else b""))
