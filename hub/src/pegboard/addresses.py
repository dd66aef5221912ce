"""Addresses: the URLs the hub trusts others at, https, or http on this machine only; and the paths of its own."""

import re

MESSAGES = re.compile(r"/messages/(?:[a-z0-9-]+/)?$")
REST = r"(:[0-9]{1,5})?(/[A-Za-z0-9._~%!$&()*+,;=:@/-]*)?"
ADDRESS = re.compile(
    rf"(https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])|http://(localhost|127\.[0-9.]+|\[::1\])){REST}"
    r"(?P<query>\?[A-Za-z0-9._~%!$&()*+,;=:@/?-]*)?"
)


def is_address(url: str, *, query: bool = False) -> bool:
    """Whether it is such a URL, without user and fragment, and without a query unless that is allowed.

    What is one holds no quote, no white space and no control character, so that it can stand in a header.
    """
    match = ADDRESS.fullmatch(url)
    return match is not None and (query or match["query"] is None)


def stream_of(path: str) -> str:
    """The path of the stream that a path to post to belongs to; any other path as it is."""
    return MESSAGES.sub("/sse", path)
