"""Encodes a test signal into an FLV file: encode.py FILE ENCODER...

Each of FFmpeg's encoders makes one stream. The pictures are of a gradient that moves, and different in each stream.
"""

import struct
import sys
from fractions import Fraction

import av

PICTURES = 30
PICTURE_RATE = 25
KEY_INTERVAL = 10
WIDTH, HEIGHT = 160, 120
RATE = 48000
SAMPLES = 57600
OPTIONS = {
    "libx264": {"preset": "superfast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=error"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lookahead=0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def pictures(seed):
    for number in range(PICTURES):
        picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, scale in zip(picture.planes, (1, 2, 2)):
            row = bytes((x * scale + 4 * number + 50 * seed) % 256 for x in range(plane.line_size))
            plane.update(row * plane.height)
        picture.pts = number
        picture.time_base = Fraction(1, PICTURE_RATE)
        yield picture


def sound(seed, codec):
    # A saw tooth, in every form of sample that the encoders take.
    code, amplitude = {"s16": ("h", 8000), "flt": ("f", 0.25), "fltp": ("f", 0.25)}[codec.format.name]
    size = codec.frame_size
    for start in range(0, SAMPLES, size):
        frame = av.AudioFrame(codec.format.name, "stereo", size)
        period = 100 + 20 * seed
        wave = [((start + n) % period / period * 2 - 1) * amplitude for n in range(size)]
        if code == "h":
            wave = [int(value) for value in wave]
        if not codec.format.is_planar:
            wave = [value for value in wave for _ in range(2)]
        for plane in frame.planes:
            plane.update(struct.pack(f"<{len(wave)}{code}", *wave).ljust(plane.buffer_size, b"\0"))
        frame.sample_rate = RATE
        frame.pts = start
        frame.time_base = Fraction(1, RATE)
        yield frame


def add(container, encoder):
    options = OPTIONS.get(encoder, {})
    if av.Codec(encoder, "w").type == "video":
        stream = container.add_stream(encoder, rate=PICTURE_RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = KEY_INTERVAL
    else:
        stream = container.add_stream(encoder, rate=RATE, layout="stereo", options=options)
    stream.codec_context.open()
    return stream


def main(path, *encoders):
    with av.open(path, "w", format="flv") as container:
        streams = [add(container, encoder) for encoder in encoders]
        packets = []
        for seed, stream in enumerate(streams):
            codec = stream.codec_context
            frames = pictures(seed) if stream.type == "video" else sound(seed, codec)
            for frame in [*frames, None]:
                packets += stream.encode(frame)
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            container.mux(packet)


main(*sys.argv[1:])
