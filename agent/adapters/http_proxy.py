"""Which proxy the environment demands, for HTTP requests of our own: as for the server itself."""

from __future__ import annotations

import ipaddress
import urllib.request


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy's URL, None for none. What is on this machine needs none."""
    if _is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
