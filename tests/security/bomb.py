"""A program that asks a peer for a page and says by how many KiB of memory it grew at most."""

import resource
import sys

from apps.ocpi.client import Peer
from apps.ocpi.errors import PeerFailed


def most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    peer = Peer("any-token_1", private_hosts=["127.0.0.1"], is_private=True)
    peer.get(sys.argv[1] + "/small")
    before = most()
    try:
        peer.get(sys.argv[1] + "/bomb")
    except PeerFailed as error:
        print(most() - before, error)  # noqa: T201
