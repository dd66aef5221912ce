"""Whether the hub of this container answers: status 0 if it does. Python's own library is all it needs.

`HEALTH_URL` names another address than the usual one, `https://127.0.0.1:8000/health` where the hub serves TLS.
"""

import os
import ssl
import sys
from urllib.error import URLError
from urllib.request import urlopen

PORT = os.environ.get("PEGBOARD_SERVER_PORT", "8000")
URL = os.environ.get("HEALTH_URL", f"http://127.0.0.1:{PORT}/health")

# The certificate is for the name that clients use, and this is the same machine.
UNCHECKED = ssl.create_default_context()
UNCHECKED.check_hostname = False
UNCHECKED.verify_mode = ssl.CERT_NONE


def main() -> int:
    """Ask, and say what is wrong if it is."""
    try:
        with urlopen(URL, timeout=2, context=UNCHECKED):  # noqa: S310 # the operator writes it
            return 0
    except (URLError, OSError) as error:
        print(f"{URL} does not answer: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
