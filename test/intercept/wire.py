"""A line that loses and delays packets: wire.py LEFT RIGHT DELAY_MS LOSS_PERCENT SEED.

Carries frames between two interfaces, each way. In the place of the kernel's netem, which not every
kernel has, and whose chance has no seed.
"""

import collections
import random
import select
import socket
import sys
import time

# linux/if_packet.h. The header of virtio goes along, or frames whose checksum is still to be
# computed by hardware that is not there, or that are to be cut in pieces, would be broken.
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
ALL_PROTOCOLS = socket.htons(3)
FRAME_BYTES_MAX = 70_000
# What is past it is lost, as on a line: memory stays bounded.
FRAMES_MAX = 10_000

left, right, delay_ms, loss_percent, seed = sys.argv[1:6]
chance = random.Random(int(seed))
delay = float(delay_ms) / 1000
loss = float(loss_percent) / 100


def open_end(interface):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, ALL_PROTOCOLS)
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024 * 1024)
    end.bind((interface, 0))
    end.setblocking(False)
    return end


ends = [open_end(left), open_end(right)]
lines = [(ends[0], ends[1], collections.deque()), (ends[1], ends[0], collections.deque())]
poll = select.poll()
for end in ends:
    poll.register(end, select.POLLIN)
print("ready", flush=True)

while True:
    due = min((line[0][0] for _, _, line in lines if line), default=None)
    poll.poll(None if due is None else max(0, due - time.monotonic()) * 1000)
    now = time.monotonic()
    for source, target, line in lines:
        while True:
            try:
                frame = source.recv(FRAME_BYTES_MAX)
            except BlockingIOError:
                break
            if chance.random() >= loss and len(line) < FRAMES_MAX:
                line.append((now + delay, frame))
        while line and line[0][0] <= now:
            try:
                target.send(line.popleft()[1])
            except OSError:
                # A full queue, or a link that is down: lost.
                pass
