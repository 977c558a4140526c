"""What Every Eval Ever 0.3.0 asks of a record: its schema's constraints and its validator's, as facts in our words.

From https://github.com/evaleval/every_eval_ever, version 0.3.0: ``every_eval_ever/eval_types.py`` and, for the checks
of numbers and of the model, ``check_score_metadata`` and ``check_model_deployment`` of
``every_eval_ever/validator/validation_core.py``. Only what an exported record may hold is written down; a field that
is not here is refused, also where the schema would let it pass.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

Details = dict[StrictStr, StrictStr]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SourceMetadata(Part):
    source_name: StrictStr | None = None
    source_type: Literal["documentation", "evaluation_run"]
    source_organization_name: StrictStr
    evaluator_relationship: Literal["first_party", "third_party", "collaborative", "other"]
    additional_details: Details | None = None


class Library(Part):
    name: StrictStr
    version: StrictStr


class Engine(Part):
    name: StrictStr | None = None
    version: StrictStr | None = None


class ModelInfo(Part):
    name: StrictStr
    id: StrictStr
    inference_engine: Engine | None = None
    additional_details: Details

    @model_validator(mode="after")
    def _both_axes(self) -> ModelInfo:
        details = self.additional_details
        assert details.get("deployment_type") in ("self_deployed", "externally_managed", "unknown")
        assert details.get("model_availability") in ("open_weights", "closed_weights", "unknown")
        return self


class OtherSource(Part):
    dataset_name: StrictStr
    source_type: Literal["other"]
    additional_details: Details | None = None


class MetricConfig(Part):
    evaluation_description: StrictStr | None = None
    metric_id: Annotated[StrictStr, Field(min_length=1)]
    metric_name: StrictStr
    metric_unit: StrictStr
    metric_parameters: dict[StrictStr, StrictStr | Number | StrictBool | None]
    lower_is_better: StrictBool
    score_type: Literal["continuous"]
    min_score: Number | Literal["-Infinity"]
    max_score: Number | Literal["Infinity"]
    additional_details: Details | None = None


class Interval(Part):
    lower: Number
    upper: Number
    confidence_level: Annotated[Number, Field(ge=0, le=1)]
    method: StrictStr


class Uncertainty(Part):
    confidence_interval: Interval | None = None
    num_samples: StrictInt | None = None


class ScoreDetails(Part):
    score: Number
    details: Details
    uncertainty: Uncertainty


class GenerationArgs(Part):
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Number | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = None


class GenerationConfig(Part):
    generation_args: GenerationArgs
    additional_details: Details | None = None


class Result(Part):
    evaluation_result_id: StrictStr
    evaluation_name: StrictStr
    source_data: OtherSource
    metric_config: MetricConfig
    score_details: ScoreDetails
    generation_config: GenerationConfig | None = None

    @model_validator(mode="after")
    def _score_within_its_bounds(self) -> Result:
        low, high = (float(end) for end in (self.metric_config.min_score, self.metric_config.max_score))
        assert low <= self.score_details.score <= high, "the validator refuses a score outside its bounds"
        return self


class Record(Part):
    schema_version: Literal["0.3.0"]
    evaluation_id: Annotated[StrictStr, Field(pattern=r"^[^/]+/[^/]+/[0-9.]+$")]
    evaluation_timestamp: StrictStr | None = None
    retrieved_timestamp: Annotated[StrictStr, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")]
    source_metadata: SourceMetadata
    eval_library: Library
    model_info: ModelInfo
    evaluation_results: list[Result]


def check(content: str) -> dict[str, Any]:
    """A record that the schema accepts; JSON as RFC 8259 has it, without bare infinities and NaN.

    Raises:
        ValueError: it is none.
    """

    def refuse(word: str) -> float:
        raise ValueError(f"{word} is not JSON")

    found = json.loads(content, parse_constant=refuse)
    Record.model_validate(found)
    assert all(math.isfinite(one["score_details"]["score"]) for one in found["evaluation_results"])
    return dict(found)
