"""Whether all weights of a model came from its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.errors import ModelError


def complete(report: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """See that a model has all its weights from its files: transformers draws at random what is not there.

    Args:
        report: of transformers, on what it loaded (``output_loading_info``).
        name: of the model, for the message.

    Returns:
        What the report must say of weights in the files that the model does not use: one sentence, or none.

    Raises:
        ModelError: the files lack weights of the model.
    """
    lacking = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if lacking:
        raise ModelError(
            f"{name}: {len(lacking)} of the model's weights are not in its files, such as {lacking[0]}, and would be "
            "random; a complete checkpoint of a causal language model is needed"
        )
    unused = sorted(map(str, report["unexpected_keys"]))
    if not unused:
        return ()
    return (f"{len(unused):,} tensors in the model's files are no part of it as loaded, such as {unused[0]}.",)
