"""No webhook into private networks, unless its route allows them.

A URL in a routes file must not become a way to reach this machine's own services or a cloud's
metadata address. The check is made where the connection is: on the numeric address that is about
to be connected to, after name resolution, so that a name that resolves differently a moment later
(DNS rebinding) does not help. Redirects are never followed (``deliver``).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import threading

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

# Prefixes that carry an IPv4 address inside: judged by that address (RFC 6052, RFC 8215).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
# Deprecated site-local addresses (RFC 3879) and 6to4 relays (RFC 7526); `ipaddress` calls them
# global.
_SITE_LOCAL = ipaddress.ip_network("fec0::/10")
_RELAYS = ipaddress.ip_network("192.88.99.0/24")


class PrivateAddressError(OSError):
    """The address to be connected to is not on the public internet."""


def is_public(address: str) -> bool:
    """Whether a numeric address is on the public internet.

    Not public: loopback, private, link-local, shared (100.64.0.0/10), multicast, unspecified,
    reserved and documentation addresses, and an IPv6 address that carries such an IPv4 address
    (mapped, 6to4, NAT64) or Teredo.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour
        if inside is None and ip in _NAT64:
            inside = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inside is not None:
            return is_public(str(inside))
        if ip.teredo is not None or ip in _LOCAL_NAT64 or ip in _SITE_LOCAL:
            return False
    elif ip in _RELAYS:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_unspecified


class Guard:
    """Makes the sockets of one attempt (aiohttp's ``socket_factory``), or refuses to.

    ``refused`` is the last address refused; ``let_through`` whether any was not: then a failure is
    the network's, and another attempt may succeed.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self.refused = ""
        self.let_through = False

    def __call__(self, where: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = where
        host = str(address[0])
        if not self._allow_private and not is_public(host):
            self.refused = host
            raise PrivateAddressError(errno.EACCES, f"{host} is not a public address")
        self.let_through = True
        return socket.socket(family, kind, protocol)


class OwnThreadResolver(AbstractResolver):
    """Resolves each name in a thread of its own, so that a name server that hangs for one receiver
    holds up neither the others nor the service's shared threads."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def tell(found: list[ResolveResult] | OSError) -> None:
            if answer.done():  # nobody waits any more
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: list[ResolveResult] | OSError
            try:
                found = _look_up(host, port, family)
            except UnicodeError as error:
                found = OSError(errno.EINVAL, f"{host}: not a host name: {error}")
            except OSError as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(tell, found)

        threading.Thread(target=look_up, name=f"resolve-{host[:32]}", daemon=True).start()
        return await answer

    async def close(self) -> None:
        """Nothing to let go of: a thread ends with its answer."""


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=where,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for where, _, protocol, _, address in found
    ]
