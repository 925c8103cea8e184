"""Where and with what a run was measured, and what it says nothing about."""

from greenbench.core.units import mebibytes_from_bytes
from greenbench.report.document import Document
from greenbench.report.numbers import figure
from greenbench.results.manifest import Manifest, RuntimeEntry

_SHOWN = (
    "torch",
    "torchvision",
    "transformers",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnx",
    "tensorflow",
    "mxnet",
    "jax",
    "numpy",
)


def machine_of(manifest: Manifest) -> str:
    """Return the machine in one sentence; of a merged run every machine, with the shards it measured."""
    if manifest.shards:
        return "; ".join(
            f"{machine_of(own)} (host {own.host['host_id']}, shard {own.shard.label if own.shard else '-'})"
            for own in manifest.shards
        )
    host = manifest.host
    parts = [manifest.gpu.name, f"driver {manifest.gpu.driver}"] if manifest.gpu else []
    parts += [str(host["cpu_model"])] if host.get("cpu_model") else []
    parts += [f"{host['cpu_cores_physical']} cores"] if host.get("cpu_cores_physical") else []
    parts += [str(host["os"])] if host.get("os") else []
    parts += ["virtual machine"] if host.get("virtualised") else []
    return ", ".join(parts) or f"host {host.get('host_id', 'unknown')}"


def facts_of(document: Document) -> list[tuple[str, str]]:
    """Return name and value of every fact about host, run and sensors that is known."""
    manifest = document.manifest
    host, gpu = manifest.host, manifest.gpu
    facts = [
        ("Device", manifest.device),
        ("Hosts", machine_of(manifest) if manifest.shards else ""),
        ("Shard", f"{manifest.shard.label}: {', '.join(manifest.shard.blocks)}" if manifest.shard else ""),
        ("Missing", "; ".join(manifest.shards_missing)),
        (
            "GPU",
            f"{gpu.name} ({gpu.architecture or 'architecture unknown'}, {gpu.uuid})" if gpu else "none used",
        ),
        ("Driver", gpu.driver if gpu else ""),
        ("CPU", str(host.get("cpu_model") or "")),
        ("Memory", f"{mebibytes_from_bytes(host['memory_b']):,.0f} MiB" if host.get("memory_b") else ""),
        ("Kernel", str(host.get("kernel") or "")),
        ("Operating system", str(host.get("os") or "")),
        ("Python of the controller", str(host.get("python") or "")),
        ("greenbench", f"{manifest.greenbench_version}, commit {manifest.git_commit or 'unknown'}"),
        ("Seed of the order", str(manifest.seed)),
        ("Raw readings", f"{document.readings:,}"),
    ]
    facts += [
        (f"Period of {name}", f"{figure(period)} s") for name, period in manifest.sensor_periods_s.items()
    ]
    facts += [(f"No {domain} energy", reason) for domain, reason in manifest.absent.items()]
    return [(name, value) for name, value in facts if value]


def runtime_rows(manifest: Manifest) -> list[list[str]]:
    """Return a row per runtime: launcher, Python, digest, versions."""
    return [
        [name, entry.launcher, entry.python or "-", _digest(entry), _packages(entry)]
        for name, entry in manifest.runtimes.items()
    ]


def _digest(entry: RuntimeEntry) -> str:
    if entry.image_digest:
        return entry.image_reference or entry.image_digest
    return (
        f"lock {entry.lock_sha256}" if entry.lock_sha256 else "adopted environment" if entry.adopted else "-"
    )


def _packages(entry: RuntimeEntry) -> str:
    versions = {name.lower(): version for name, version in entry.packages.items()}
    shown = ", ".join(f"{name} {versions[name]}" for name in _SHOWN if name in versions)
    return f"{shown}; {len(versions)} in all" if versions else "-"


def not_measured(document: Document) -> list[str]:
    """Return what a reader might take this run to say, and it does not."""
    scopes = sorted({cell.energy_scope for cell in document.cells if cell.energy_j_per_sample})
    outside = "power supplies, fans, disks and the network card are outside every figure"
    said = [
        f"Energy covers {' and '.join(scopes)} only: {outside}."
        if scopes
        else f"Energy: there is none here, and {outside} in any run.",
        "Training, loading, conversion and the first iterations: windows begin after a warm-up.",
        "Requests: inputs are staged before a window begins; queues, networks and decoding are not in it.",
        "Other machines: another GPU, driver, cooling or power limit may order the runtimes differently.",
    ]
    if scopes:
        said.append(
            "The sensors' gain: a board's readings may be off by 5% as a whole (a published bound), "
            "RAPL's by an unknown share. It cancels in the ratio of one domain's energies on one board, "
            "not in totals of several domains; no interval here contains it."
        )
    if document.manifest.suite.get("models", {}).get("weights_from") == "seeded":
        said.append(
            "Accuracy: weights are seeded, not trained; they cost what trained ones of this shape cost."
        )
    if document.manifest.host.get("virtualised"):
        said.append("What neighbours on the same physical machine did: a virtual machine cannot see them.")
    return said
