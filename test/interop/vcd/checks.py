"""What every Python client's checks share: the cloud's description, and one line per check."""

import json
import os
import sys
import traceback

CLOUD = json.loads(os.environ["VAPP_VAULT_INTEROP_CLOUD"])
URL = CLOUD["vcd"]["url"]
PROVIDER = CLOUD["vcd"]
TENANTS = {tenant["userName"]: tenant for tenant in CLOUD["tenants"]}


def check(name, work):
    """Runs one check; what it returns is not looked at, an exception is its failure."""
    try:
        result = work()
    except Exception as error:  # any failure of a client is the finding
        if os.environ.get("VAPP_VAULT_INTEROP_TRACE"):
            traceback.print_exc(file=sys.stderr)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(f"FAILED {name}: {reason}", flush=True)
        return None
    print(f"ok {name}", flush=True)
    return result


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"is {actual!r}, expected {expected!r}")


def refused(work, kind, needle=""):
    """The client's own exception class says how the server refused."""
    try:
        work()
    except kind as error:
        if needle not in str(error):
            raise AssertionError(f"refused with {error!r}, expected {needle!r} in it") from error
        return
    raise AssertionError("was not refused")
