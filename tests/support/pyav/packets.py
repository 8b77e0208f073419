"""Prints what a current FFmpeg reads in a file or stream: packets.py FROM [OPTION=VALUE]...

The options are those of FFmpeg's protocol. One line for each stream and packet, with tabs in between:

stream  index, media type, codec, MD5 of the extradata or "-"
packet  index of the stream, PTS and DTS in milliseconds, bytes, "key" or "-", MD5
"""

import hashlib
import sys
from fractions import Fraction

import av


def md5(data):
    return hashlib.md5(data).hexdigest()


def millis(time, base):
    """Milliseconds without loss: FLV has no finer unit, so that a remainder shows as a fraction."""
    return "-" if time is None else str(Fraction(time) * base * 1000)


def row(*fields):
    print(*fields, sep="\t")


def main(path, *options):
    options = dict(option.split("=", 1) for option in options)
    known = set()
    with av.open(path, options=options) as container:
        try:
            for packet in container.demux():
                show(packet, known)
        except OSError:
            # That is how a server of FFmpeg's takes the publisher's end of the connection.
            if "listen" not in options:
                raise


def show(packet, known):
    stream = packet.stream
    if stream.index not in known:
        known.add(stream.index)
        extradata = stream.codec_context.extradata if stream.codec_context else None
        codec = stream.codec_context.name if stream.codec_context else "-"
        row("stream", stream.index, stream.type, codec, md5(extradata) if extradata else "-")
    # What has no bytes is the flush that ends each stream.
    if packet.size:
        base = packet.time_base
        key = "key" if packet.is_keyframe else "-"
        times = millis(packet.pts, base), millis(packet.dts, base)
        row("packet", stream.index, *times, packet.size, key, md5(bytes(packet)))


main(*sys.argv[1:])
