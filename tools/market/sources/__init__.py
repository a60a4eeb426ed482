"""Where market data come from: the live API, a base URL, a folder, a saved run, the embedded demo."""

from tools.market.sources.folder import FolderSource
from tools.market.sources.opening import open_source
from tools.market.sources.remote import LIVE, HttpSource, LiveAddresses, LiveSource
from tools.market.sources.saved import SavedSource

__all__ = ["LIVE", "FolderSource", "HttpSource", "LiveAddresses", "LiveSource", "SavedSource", "open_source"]
