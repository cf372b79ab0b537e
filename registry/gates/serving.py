"""Gates on what it takes to serve the version: its files, its needs, its speed, its callers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from registry.gates.base import Asking, GateContext, Measurement, failed, gate, inconclusive, passed
from registry.gates.needs import Want
from registry.gates.parameters import Kind, Parameter

# The machine changes; what it measures is taken again after this long.
RENEW_MACHINE = timedelta(days=7)
RENEW_FILES = timedelta(days=1)
# Fewer calls say nothing about the slowest one in a hundred.
LEAST_CALLS = 100


def _serving(context: GateContext) -> Iterable[Want]:
    yield Want("serving", renew_after=RENEW_MACHINE)


@gate(
    "resources",
    title="Latency and memory",
    needs=_serving,
    parameters={
        "p50_ms": Parameter(Kind.NUMBER, "Median latency", default=None, minimum=0, unit="ms"),
        "p99_ms": Parameter(Kind.NUMBER, "p99 latency", default=150, minimum=0, unit="ms"),
        "memory_mb": Parameter(Kind.NUMBER, "Peak memory", default=2048, minimum=0, unit="MB"),
    },
)
def resources(context: GateContext) -> Measurement:
    """It loads and answers its input example, quickly enough and in little enough memory.

    Reads latency and peak memory of the version in a process of its own, measured here. Fails when
    it does not load or answer, or is over a limit; inconclusive after fewer than 100 calls.
    """
    row = context.measured("serving")
    found = row.result
    if problem := found.get("problem"):
        return failed(f"It cannot be served: {problem}", evidence=found)
    limits = _limits(context)
    low, high = found["p99_interval_ms"]
    details: dict[str, Any] = {
        "measured": f"p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms, "
        f"{found['peak_mb']:.0f} MB",
        "limit": ", ".join(
            f"{_LABEL[key]} ≤ {limit:g} {_UNIT[key]}" for key, limit in limits.items()
        ),
        "sample_size": row.sample_size,
        "interval": None if None in (low, high) else {"low": low, "high": high, "level": 0.95},
        "evidence": {**found, "limits": limits},
        # Measured anew each week; an approval is for what was found, not for the last digit.
        "binding": {"digest": row.artifact_digest, "limits": limits},
    }
    if (row.sample_size or 0) < LEAST_CALLS:
        return inconclusive(
            f"Only {row.sample_size} calls fitted into the time; {LEAST_CALLS} are needed.",
            **details,
        )
    if over := over_limits(found, context):
        return failed(f"Over the limit: {', '.join(over)}.", **details)
    return passed(f"Answered its input example {row.sample_size} times within limits.", **details)


def over_limits(found: Mapping[str, Any], asking: Asking) -> list[str]:
    """What is more than allowed: some of p50, p99, memory."""
    return [_LABEL[key] for key, limit in _limits(asking).items() if found[key] > limit]


def _limits(asking: Asking) -> dict[str, float]:
    return {
        key: float(asking.parameter(name))
        for key, name in (("p50_ms", "p50_ms"), ("p99_ms", "p99_ms"), ("peak_mb", "memory_mb"))
        if asking.parameter(name) is not None
    }


_LABEL = {"p50_ms": "p50", "p99_ms": "p99", "peak_mb": "memory"}
_UNIT = {"p50_ms": "ms", "p99_ms": "ms", "peak_mb": "MB"}


def _requirements(context: GateContext) -> Iterable[Want]:
    yield Want("requirements", renew_after=RENEW_MACHINE)


@gate("dependencies", title="Dependencies", needs=_requirements)
def dependencies(context: GateContext) -> Measurement:
    """Everything in the model's requirements.txt is pinned, installed here and importable.

    Reads the model's requirements.txt. Fails when a line is not pinned, not installed or does not
    import; inconclusive when the file is empty.
    """
    row = context.measured("requirements")
    rows = row.result["requirements"]
    loose = [each["requirement"] for each in rows if not each["pinned"]]
    broken = [f"{each['requirement']} {each['problem']}" for each in rows if each["problem"]]
    details: dict[str, Any] = {
        "measured": f"{len(rows)} requirements",
        "limit": "all pinned and importable",
        "sample_size": len(rows),
        "evidence": {"requirements": rows},
    }
    if not rows:
        return inconclusive("The model's requirements.txt is empty.", **details)
    if loose or broken:
        parts = [f"not pinned: {', '.join(loose)}"] if loose else []
        parts += [f"not usable: {', '.join(broken)}"] if broken else []
        words = "; ".join(parts)
        return failed(f"{words[0].upper()}{words[1:]}.", **details)
    return passed(f"All {len(rows)} are pinned, installed and importable.", **details)


def _files(context: GateContext) -> Iterable[Want]:
    yield Want("files", renew_after=RENEW_FILES)


@gate("artifact_verified", title="Files verified", needs=_files)
def artifact_verified(context: GateContext) -> Measurement:
    """The files that MLflow hands out have the digest that was recorded.

    Reads the files that MLflow hands out now. Fails when they are others; inconclusive until they
    are looked at.
    """
    row = context.measured("files")
    found = row.result["digest"]
    details: dict[str, Any] = {
        "measured": found[:12],
        "limit": row.artifact_digest[:12],
        "evidence": {"digest": found, "recorded": row.artifact_digest},
    }
    if found != row.artifact_digest:
        return failed("MLflow's files are not those that were recorded.", **details)
    return passed("MLflow hands out exactly the recorded files.", **details)


@gate(
    "model_signature",
    title="Model signature",
    needs=_files,
    parameters={
        "unsigned": Parameter(
            Kind.TEXT,
            "A version that nobody signed is",
            default="fail",
            choices=("fail", "inconclusive"),
        )
    },
)
def model_signature(context: GateContext) -> Measurement:
    """E2I's OpenSSF signature covers exactly the files that MLflow hands out.

    Reads the signature over the files that MLflow hands out now. Fails when they are others, or the
    signature is not valid; inconclusive without E2I's key. What an unsigned version is, the policy
    says.
    """
    row = context.measured("files")
    signature, digest = row.result["signature"], row.result["digest"]
    details: dict[str, Any] = {
        "measured": signature["state"],
        "limit": "valid",
        "evidence": {**signature, "digest": digest},
        "binding": {"state": signature["state"], "key": signature.get("key"), "digest": digest},
    }
    if digest != row.artifact_digest:
        return failed("MLflow's files are not those that were recorded.", **details)
    if signature["state"] == "valid":
        return passed(signature["message"], **details)
    if signature["state"] == "no key":
        return inconclusive(signature["message"], **details)
    if signature["state"] == "unsigned":
        judge = {"fail": failed, "inconclusive": inconclusive}[context.parameter("unsigned")]
        return judge(signature["message"], **details)
    return failed(signature["message"], **details)


@gate("compatible_signature", title="Compatible with its callers")
def compatible_signature(context: GateContext) -> Measurement:
    """Whoever calls the version in production can call this one and read its answer.

    Reads the signatures of both versions. Fails when callers would break; inconclusive when one
    declares none. Passes without a champion.
    """
    champion = context.champion
    if champion is None:
        return passed("Nothing serves yet, so no caller has to be kept.")
    if not champion.signature.get("inputs") or not context.entry.signature.get("inputs"):
        return inconclusive(f"{champion} or this version declares no signature to compare.")
    problems = [
        *_input_problems(context.entry.signature, champion.signature),
        *_output_problems(context.entry.signature, champion.signature),
    ]
    evidence = {"champion": str(champion), "champion_digest": champion.artifact_digest}
    details: dict[str, Any] = {
        "measured": f"{len(problems)} breaks",
        "limit": "0",
        "evidence": {**evidence, "breaks": problems},
    }
    if problems:
        words = "; ".join(f"{each['column']}: {each['problem']}" for each in problems)
        return failed(f"Callers of {champion} would break: {words}.", **details)
    return passed(f"Takes what {champion} takes and answers in the same form.", **details)


def _input_problems(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Inputs that present callers do not send, or send as another type."""
    sent = _columns(theirs, "inputs")
    for name, column in _columns(mine, "inputs").items():
        known = sent.get(name)
        if known is None:
            if column.get("required", True):
                yield {"column": name, "problem": "is required now and is not sent"}
        elif _type(known) != _type(column):
            yield {"column": name, "problem": f"was {_type(known)}, is {_type(column)}"}
        elif column.get("required", True) and not known.get("required", True):
            yield {"column": name, "problem": "was optional and is required now"}


def _output_problems(
    mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterable[dict[str, Any]]:
    """Outputs that callers read and that are gone, or come as another type."""
    given = _columns(mine, "outputs")
    for name, column in _columns(theirs, "outputs").items():
        found = given.get(name)
        if found is None:
            yield {"column": name, "problem": "is no longer answered"}
        elif _type(found) != _type(column):
            yield {"column": name, "problem": f"was {_type(column)}, is {_type(found)}"}


def _columns(signature: Mapping[str, Any], part: str) -> dict[str, Mapping[str, Any]]:
    """Columns by name; those without one by their place."""
    return {
        str(column.get("name") or f"{part[:-1]} {place}"): column
        for place, column in enumerate(signature.get(part) or (), start=1)
    }


def _type(column: Mapping[str, Any]) -> str:
    spec = column.get("tensor-spec")
    if isinstance(spec, Mapping):
        shape = "×".join(map(str, spec.get("shape", ())))
        return f"tensor {spec.get('dtype', '?')} {shape}"
    return str(column.get("type", "?"))
