"""Keeping the libraries' notices to each other off the terminal; errors still show."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, transformers shows neither bars nor hints; what the person must know is said by slm-audit itself."""
    import transformers
    from transformers.utils import logging as hints

    level, bars = transformers.logging.get_verbosity(), hints.is_progress_bar_enabled()
    transformers.logging.set_verbosity(logging.ERROR)
    hints.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            # peft imports bitsandbytes where it is installed, which then says that it found no faster kernels.
            logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
            # peft 0.21 asks transformers 5.23 for an attribute by its old name.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            # What is missing is an error of ours: audit.models.adapters.check_applied.
            warnings.filterwarnings("ignore", "Found missing adapter keys", UserWarning)
            yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            hints.enable_progress_bar()  # type: ignore[no-untyped-call]
