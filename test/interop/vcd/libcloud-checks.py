"""Drives the simulated cloud with Apache libcloud's vCloud driver: the login of old, POST /api/sessions."""

import os
from urllib.parse import urlparse

import libcloud.security

libcloud.security.CA_CERTS_PATH = os.environ["REQUESTS_CA_BUNDLE"]

from checks import TENANTS, URL, check, equal, refused
from libcloud.common.types import InvalidCredsError
from libcloud.compute.drivers.vcloud import VCloud_5_5_Connection, VCloud_5_5_NodeDriver

ADDRESS = urlparse(URL)


def driver_of(version):
    """The driver asks for 5.5, which no supported release speaks; the version is all that is changed."""

    class Connection(VCloud_5_5_Connection):
        def _get_auth_headers(self):
            return {**super()._get_auth_headers(), "Accept": f"application/*+xml;version={version}"}

        def add_default_headers(self, headers):
            return {**super().add_default_headers(headers), "Accept": f"application/*+xml;version={version}"}

    class Driver(VCloud_5_5_NodeDriver):
        connectionCls = Connection

    return Driver


def connect(version, password=None):
    account = TENANTS["acme-admin"]
    return driver_of(version)(
        f"{account['userName']}@{account['organization']}", password or account["password"],
        host=ADDRESS.hostname, port=ADDRESS.port, secure=True)


def main():
    check("libcloud: API 5.5 is refused", lambda: refused(lambda: connect("5.5").vdcs, InvalidCredsError))
    check("libcloud: API 38.0 has no /api/sessions any more", lambda: refused(lambda: connect("38.0").vdcs, InvalidCredsError))
    check("libcloud: a wrong password is refused", lambda: refused(lambda: connect("36.0", "wrong").vdcs, InvalidCredsError))
    for version in ("33.0", "36.0", "37.0"):
        driver = connect(version)
        # From 33.0 an organization carries no VDC links, which is all this driver follows.
        check(f"libcloud {version}: logs in and reads its organization", lambda: equal(driver.vdcs, []))
        check(f"libcloud {version}: finds a vApp by query", lambda: equal(
            [r["name"] for r in driver.ex_query("vApp", filter="name==shop")], ["shop"]))


main()
