"""The steps of a run in their order, from its settings. The first step that has a reason to drop a file names it."""

from __future__ import annotations

from starloom.data.pipeline.settings import DataSettings
from starloom.data.pipeline.stages.decontamination import decontamination_step
from starloom.data.pipeline.stages.exact import exact_steps
from starloom.data.pipeline.stages.expressible import expressible_step
from starloom.data.pipeline.stages.ingest import ingest_step
from starloom.data.pipeline.stages.languages import languages_step
from starloom.data.pipeline.stages.licences import licence_steps
from starloom.data.pipeline.stages.malware import malware_step
from starloom.data.pipeline.stages.near import near_steps
from starloom.data.pipeline.stages.opt_out import opt_out_step
from starloom.data.pipeline.stages.outcome import documents_steps, statistics_step, verdict_step
from starloom.data.pipeline.stages.parse import parse_step
from starloom.data.pipeline.stages.quality import quality_step
from starloom.data.pipeline.stages.redaction import redaction_step
from starloom.data.pipeline.stages.sequences import sequence_steps
from starloom.data.pipeline.stages.split import split_steps
from starloom.data.pipeline.stages.text import text_step
from starloom.data.pipeline.step import Plan, Step


def make_plan(settings: DataSettings) -> Plan:
    """The plan for these settings. Raises `SettingsError` for settings that a stage cannot work with."""
    judging: tuple[Step, ...] = (
        *split_steps(settings.validation, settings.seed),
        text_step(),
        languages_step(settings),
        *licence_steps(settings.licences),
        quality_step(),
        parse_step(settings.parse),
        opt_out_step(settings.opt_out),
        *exact_steps(),
        *near_steps(settings.near),
        decontamination_step(settings.benchmarks),
        malware_step(settings.malware),
        redaction_step(settings.redaction),
    )
    sequences: tuple[Step, ...] = ()
    if settings.tokens.tokenizer is not None:
        judging = (*judging, expressible_step(settings.tokens.tokenizer))
        sequences = sequence_steps(settings.tokens, settings.seed)
    ingest = ingest_step(settings)
    droppers = Plan(ingest, judging).droppers()
    return Plan(
        ingest,
        (*judging, verdict_step(droppers), *documents_steps(settings.validation.is_asked_for), statistics_step(), *sequences),
    )
