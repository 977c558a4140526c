"""Fine-tune a model with LoRA on texts of one's own: what the variants of an audit are made with.

Transformers' Trainer does the training and peft holds the adapter; this package reads the records, decides
on which tokens the loss is taken, and sees to it that a training can be killed, continued and repeated.
"""

from __future__ import annotations

from audit.finetuning.folder import FinetuneResult
from audit.finetuning.records import Record, read_records
from audit.finetuning.tune import FinetuneProgress, finetune

__all__ = ["FinetuneProgress", "FinetuneResult", "Record", "finetune", "read_records"]
