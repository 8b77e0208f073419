"""Copies every packet as it is from one FLV file or stream to another: remux.py FROM TO [OPTION=VALUE]...

The options are those of FFmpeg's protocol of TO.
"""

import sys

import av


def main(source, destination, *options):
    # PyAV has no way to hand options to the protocol that it writes to, but the muxer called tee does.
    destination = f"[{':'.join(['f=flv', *options])}]{destination}"
    with av.open(source) as reader, av.open(destination, "w", format="tee") as writer:
        # Opaque: without a look for an encoder.
        copies = {stream.index: writer.add_stream_from_template(stream, opaque=True) for stream in reader.streams}
        for packet in reader.demux():
            # What has no bytes is the flush that ends each stream.
            if packet.size:
                packet.stream = copies[packet.stream.index]
                writer.mux(packet)


main(*sys.argv[1:])
