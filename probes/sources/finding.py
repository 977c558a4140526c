"""Where a published file's content is: the folder in ``SLM_AUDIT_DATA``, the cache, or its repository.

Whatever its place, the content is compared with the registry's digest before anything reads it.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from audit.errors import DataError, MissingResourceError
from probes.sources import catalogue
from probes.sources.catalogue import PublishedFile, Source

DATA = "SLM_AUDIT_DATA"
_TIMEOUT = 60  # seconds without a byte
_forbidden: ContextVar[bool] = ContextVar("network forbidden", default=False)


@contextmanager
def without_network() -> Iterator[None]:
    """Within it nothing is fetched, as with ``SLM_AUDIT_OFFLINE=1``."""
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)


def offline() -> bool:
    """Whether fetching is forbidden: by :func:`without_network`, ``SLM_AUDIT_OFFLINE`` or ``HF_HUB_OFFLINE``."""
    return _forbidden.get() or _told("SLM_AUDIT_OFFLINE") or hub_offline()


def hub_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids the hub; its own cache may still be read."""
    return _told("HF_HUB_OFFLINE")


def _told(variable: str) -> bool:
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "no", "off")


def data_folder() -> Path | None:
    """The folder that ``SLM_AUDIT_DATA`` names; None where the variable is unset or empty.

    Raises:
        MissingResourceError: there is no such folder.
    """
    named = os.environ.get(DATA)
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise MissingResourceError(f"{DATA}={named}: no such folder; name the folder of the data sets, or unset it")
    return folder


def cache_folder() -> Path:
    """The folder for fetched files: ``data`` in ``SLM_AUDIT_CACHE``, else in slm-audit's folder of the user's cache."""
    chosen = os.environ.get("SLM_AUDIT_CACHE")
    if chosen:
        return Path(chosen) / "data"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slm-audit" / "data"


def content(set_name: str, file_name: str) -> tuple[Path, bytes]:
    """The verified content of a published file, decompressed, and the path that it was read from.

    Looked for below ``SLM_AUDIT_DATA`` (plain, then gzipped), then in the cache; else fetched into the cache.

    Raises:
        UnknownNameError: no such set or file.
        DataError: what was found is not the published content; names the file and both digests.
        MissingResourceError: it is not on this machine and may not, or cannot, be fetched.
    """
    source = catalogue.source(set_name)
    file = source.file(file_name)
    folder = data_folder()
    if folder is not None and (found := stored(folder / source.folder, file)):
        return found, _verified(found, file)
    kept = cache_folder() / source.folder / file.name
    if kept.is_file():
        return kept, _verified(kept, file)
    if source.made or offline():
        raise _missing(source, file, folder)
    return kept, fetch(source, file, kept)


def stored(folder: Path, file: PublishedFile) -> Path | None:
    """The path of a file in a set's folder, plain or with ``.gz`` behind its name; None where it is not there."""
    plain = folder / file.name
    packed = folder / f"{file.name}.gz"
    return plain if plain.is_file() else packed if packed.is_file() else None


def verified(path: Path, file: PublishedFile) -> bytes:
    """The content of a file on disk, decompressed where its name ends in ``.gz``.

    Raises:
        DataError: unreadable, a damaged gzip file, or not the published content; names the file and both digests.
    """
    expected = f"expected {file.identity}"
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz" and not file.name.endswith(".gz"):
            raw = gzip.decompress(raw)
    except EOFError as error:
        raise DataError(path, f"the gzip file is cut short; {expected}; {_again(file)}") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(path, f"is not a whole gzip file ({error}); {expected}; {_again(file)}") from error
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error
    found = file.identity_of(raw)
    if found != file.identity:
        size = f"{len(raw)} bytes" + (f" instead of {file.length}" if file.length not in (None, len(raw)) else "")
        raise DataError(path, f"is not the published file: found {found}, {expected} ({size}); {_again(file)}")
    return raw


@lru_cache(maxsize=64)
def _cached(path: Path, file: PublishedFile, changed: int, size: int) -> bytes:
    return verified(path, file)


def _verified(path: Path, file: PublishedFile) -> bytes:
    """:func:`verified`, hashed once a process as long as the file on disk does not change."""
    state = path.stat()
    return _cached(path, file, state.st_mtime_ns, state.st_size)


def _again(file: PublishedFile) -> str:
    return f"delete it and get it again from {file.repository} at commit {file.commit}"


def _missing(source: Source, file: PublishedFile, folder: Path | None) -> MissingResourceError:
    if folder is None:
        where = f"{DATA} is not set"
    elif (folder / source.folder).is_dir():
        where = f"{folder / source.folder} lacks it"
    else:
        where = f"{DATA}={folder} has no set {source.folder}"
    if source.made:
        how = (
            f"it cannot be fetched by itself: {source.made} (repository {file.repository}, commit {file.commit}); "
            f"put the file at DIR/{source.folder}/{file.name} and set {DATA}=DIR"
        )
    else:
        how = (
            "fetching is forbidden here; where there is a network run: "
            "slm-audit fetch --suites NAME --to DIR with a suite that reads this set (slm-audit list suites), "
            f"then set {DATA}=DIR/data"
        )
    return MissingResourceError(f"{source.name}/{file.name} is not on this machine ({where}); {how}")


def fetch(source: Source, file: PublishedFile, to: Path) -> bytes:
    """Fetches one file from its repository at the pinned commit, verifies it, and keeps it.

    A file that does not verify is not kept.

    Args:
        source: its set.
        file: the file.
        to: where it is kept.

    Returns:
        Its content.

    Raises:
        DataError: what came is not the published content.
        MissingResourceError: the network or the repository does not give it, or it cannot be written.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    bar = sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
    part = to.with_name(f"{to.name}.part")
    where = f"{source.name}/{file.name} from {file.url}"
    try:
        part.unlink(missing_ok=True)
        # Verified here and not by pooch: it does not know git's ids, and its message would not name the set.
        pooch.retrieve(
            file.url, known_hash=None, fname=part.name, path=part.parent,
            downloader=pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT),
        )  # fmt: skip
        raw = verified(part, file)
        part.replace(to)
    except OSError as error:  # also what requests raises where there is no network, no such file, or no answer
        raise MissingResourceError(f"cannot fetch {where} to {to}: {type(error).__name__}: {_short(error)}") from error
    finally:
        part.unlink(missing_ok=True)
    return raw


def _short(error: Exception) -> str:
    if "Max retries exceeded" in str(error):
        return (
            "there is no connection to it; where there is one, run: slm-audit fetch --suites NAME --to DIR, "
            "then set SLM_AUDIT_DATA=DIR/data"
        )
    lines = str(error).splitlines() or [""]
    return lines[0][:200]
