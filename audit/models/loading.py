"""From a name to a model in memory: alias, GGUF file, local folder or hub id, in a stated precision."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit import provenance
from audit.errors import MissingResourceError, ModelError, UnknownNameError, UsageError
from audit.models import embedded
from audit.models.completeness import complete
from audit.models.quiet import quiet
from audit.provenance import sha256_file, sha256_files

DTYPES = ("auto", "float32", "bfloat16", "float16")
_HASHED = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json",
    "merges.txt", "special_tokens_map.json", "chat_template.jinja", "added_tokens.json", "model.safetensors.index.json",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's files are, and what is to be said about them."""

    name: str
    """The name asked for."""
    path: str
    """Folder, or hub id."""
    revision: str | None
    """Commit of a hub model; None for local files."""
    files: dict[str, str] = field(default_factory=dict)
    """sha256 per file."""
    notes: tuple[str, ...] = ()


def resolve(spec: str, *, revision: str | None = None, offline: bool = False) -> Source:
    """Find a model's files, fetching a hub model unless ``offline``.

    Args:
        spec: ``smollm2``, a ``.gguf`` file, a folder in transformers' format, or a hub id such as ``microsoft/phi-2``.
        revision: commit, tag or branch of a hub id.
        offline: never ask the network.

    Raises:
        UnknownNameError: nothing is known by that name.
        MissingResourceError: not on this machine and not to be fetched.
        ModelError: files are damaged.
        UsageError: a revision was given for local files.
    """
    path = Path(spec).expanduser()
    local = spec == embedded.ALIAS or path.exists() or spec.endswith(".gguf")
    if local and revision:
        raise UsageError(
            f"--revision {revision} goes with a hub id; {spec} is local and is pinned by its files' sha256"
        )
    if spec == embedded.ALIAS:
        gguf = embedded.embedded_gguf()
        return _from_gguf(spec, gguf, embedded.SHA256, embedded.NOTES)
    if path.is_file() or spec.endswith(".gguf"):
        if not path.is_file():
            raise MissingResourceError(f"no file {path}; give the path of a GGUF file")
        return _from_gguf(spec, path, sha256_file(path), ())
    if path.is_dir():
        return _from_folder(spec, path)
    if spec.count("/") == 1 and not spec.startswith((".", "/", "~")):
        return _from_hub(spec, revision, offline)
    raise UnknownNameError("model, folder or hub id", spec, [embedded.ALIAS])


def _from_gguf(name: str, gguf: Path, digest: str, notes: tuple[str, ...]) -> Source:
    folder = embedded.converted(gguf, digest)
    return Source(name, str(folder), None, {gguf.name: digest}, (embedded.GGUF_NOTE, *notes))


def _from_folder(name: str, folder: Path) -> Source:
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        base = _stated_base(folder)
        raise UsageError(
            f"{folder} is an adapter, not a model; run its base with it: slm-audit run {base} --adapter {folder}"
        )
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: no config.json; give a folder as save_pretrained writes it, a GGUF file or a hub id"
        )
    return Source(name, str(folder), None, _hash_files(folder))


def _stated_base(folder: Path) -> str:
    try:
        return str(json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return "BASE"


def _hash_files(folder: Path) -> dict[str, str]:
    weights = [file.name for file in folder.glob("*.safetensors")]
    return sha256_files(folder, [*weights, *_HASHED])


def _from_hub(name: str, revision: str | None, offline: bool) -> Source:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )  # fmt: skip

    fetch = f"hf download {name}" + (f" --revision {revision}" if revision else "")
    try:
        folder = Path(
            snapshot_download(
                name, revision=revision, local_files_only=offline,
                allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"],
            )
        )  # fmt: skip
    except GatedRepoError as error:
        raise MissingResourceError(
            f"{name} is gated: accept its terms on the hub, log in (hf auth login), then: {fetch}"
        ) from error
    except RevisionNotFoundError as error:
        raise UsageError(f"{name} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise MissingResourceError(
            f"the hub has no model {name}, or it is private; check the id, or: hf auth login"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        how = (
            "is not in the local cache and --offline forbids fetching"
            if offline
            else "cannot be fetched: the hub is unreachable"
        )
        raise MissingResourceError(f"{name} {how}; where there is a network, run: {fetch}") from error
    # A snapshot's folder is named after its commit.
    return Source(name, str(folder), folder.name, _hash_files(folder))


def fingerprint(source: Source) -> str:
    """One sha256 over a model's weight files (GGUF or all safetensors): what adapters are checked against."""
    return provenance.fingerprint(source.files)


def pick_device(device: str) -> str:
    """``auto`` becomes ``cuda`` where there is one, else ``cpu``.

    Raises:
        UsageError: the device asked for is not there.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: no CUDA device is visible; use --device cpu")
    try:
        return str(torch.device(device))
    except RuntimeError as error:
        raise UsageError(f"--device {device}: not a device of torch; use auto, cpu, cuda or cuda:N") from error


def pick_dtype(dtype: str, device: str) -> str:
    """``auto`` becomes bfloat16 on CUDA and float32 on CPU.

    Never float16 by itself: Phi-2's attention overflows in it (transformers PR #28163), and its published weights are
    stored in it, so that transformers' own ``dtype="auto"`` walks into NaN.

    Raises:
        UnknownNameError: no such precision.
    """
    if dtype not in DTYPES:
        raise UnknownNameError("dtype", dtype, DTYPES)
    if dtype != "auto":
        return dtype
    return "bfloat16" if device.startswith("cuda") else "float32"


def load_weights(source: Source, *, dtype: str, device: str) -> tuple[Any, Any, tuple[str, ...]]:
    """Module (eval mode) and tokenizer of a resolved source, and what the report must say of its files.

    Raises:
        ModelError: the files cannot be read, need remote code, lack weights of the model, or hold NaN or infinity.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from audit.models.precision import use_float32_attention

    try:
        with quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source.path, dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True,
                trust_remote_code=False, output_loading_info=True,
            )  # fmt: skip
            tokenizer: Any = AutoTokenizer.from_pretrained(source.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever its readers raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{source.name}: cannot be loaded: {lines[0][:300]}") from error
    module, report = loaded
    notes = complete(report, source.name)
    # bitsandbytes says at every product of an 8-bit layer that its inputs become float16: thousands of lines a run.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    module = module.to(device).eval()
    config = module.config.get_text_config()
    if getattr(config, "attn_logit_softcapping", None) and module.config._attn_implementation == "sdpa":
        # Older versions of transformers let sdpa drop the soft cap without a word.
        module.set_attn_implementation("eager")
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"{source.name}: weight {name} holds NaN or infinity in {dtype}; "
                "the checkpoint is damaged or needs bfloat16"
            )
    if dtype == "float16":
        use_float32_attention(module)
    return module, tokenizer, notes
