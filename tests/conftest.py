"""What every test gets: a home of its own, a clean environment, no network but loopback; the recorded market."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(
    0, str(ROOT)
)  # pytest puts tests/ first, where the folder tests/tools would stand for the package tools
_SCRUBBED = ("OPENAI", "LANGSMITH", "LANGCHAIN", "LANGGRAPH", "PLIMSOLL")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}
_RECORDED = os.environ.get("PLIMSOLL_MARKET")  # read before the variables are removed


# The same examples on every run, so that a red run can be run again; HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

_PUBLISHED: list[str] = []


@pytest.fixture(scope="session")
def published() -> list[str]:
    """Figures that a test measured and that are printed at the end of the run."""
    return _PUBLISHED


def pytest_sessionfinish(session: Any) -> None:
    """Hand the published figures of a worker process over to the one that reports."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["published"] = _PUBLISHED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the published figures of a worker process that is done."""
    _PUBLISHED.extend(getattr(node, "workeroutput", {}).get("published", []))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the published figures."""
    for line in _PUBLISHED:
        terminalreporter.write_line(f"measured: {line}")


@pytest.fixture(scope="session")
def market_folder() -> Path:
    """The recorded market: the folder in PLIMSOLL_MARKET, else shared/market beside the repository."""
    folder = Path(_RECORDED) if _RECORDED else ROOT.parent / "shared" / "market"
    if not (folder / "pools").is_dir():
        missing = f"the recorded market is not at {folder}; set PLIMSOLL_MARKET to its folder"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


@pytest.fixture(autouse=True)
def plimsoll_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a home of its own, and remove what could send it elsewhere."""
    for name in list(os.environ):
        if name.startswith(_SCRUBBED) or name.upper() in _PROXIES:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("PLIMSOLL_HOME", str(home))
    return home


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):  # a path of AF_UNIX
        return True
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that connects to anything but this machine, or asks for the address of anything else."""

    def guard(original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family != getattr(socket, "AF_UNIX", None) and not _is_local(address):
                pytest.fail(f"a test tried to connect to {address!r}")
            return original(self, address)

        return guarded

    def lookup(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_local((name,)):
            pytest.fail(f"a test asked for the address of {name!r}")
        return original_lookup(host, *arguments, **options)

    original_lookup = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", guard(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guard(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
