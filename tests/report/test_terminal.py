import io
import json
import re

import pytest
from rich.console import Console

from greenbench.core.doubt import Doubt, Rule, Verdict
from greenbench.core.plan import Cell, LeftOut, Plan, Protocol, order
from greenbench.core.trial import Absent, Trial
from greenbench.core.workload import Workload
from greenbench.report.answer import answer_of
from greenbench.report.structured import answer_as_json, plan_as_json, status_as_json
from greenbench.report.terminal import plan_table, result_table, status_table
from greenbench.results.status import RunStatus

NO_CPU_METER = Absent(domain="cpu", reason="no powercap here")
GAP = Doubt(rule=Rule.GAP, value=3.0, limit=2.0, verdict=Verdict.DOUBTFUL)


def trial(runtime="pytorch", mode="eager", number=1, **values):
    cell = f"{runtime}.{mode}.{values.get('source') or 'own'}.{values.get('model', 'mobilenet_v2')}"
    base = {
        "run_id": "run",
        "trial_id": f"{cell}.{number}",
        "cell_id": cell,
        "load_id": f"r{number:02d}.{cell}",
        "round": number,
        "window": 1,
        "attempt": 1,
        "position": 0,
        "host_id": "h",
        "gpu_uuid": None,
        "runtime": runtime,
        "mode": mode,
        "source": None,
        "model": "mobilenet_v2",
        "precision": "fp32",
        "batch_size": 1,
        "sequence_length": None,
        "weights": "matched",
        "weights_from": "seeded",
        "path": "loop",
        "io": "device",
        "device": "cpu",
        "threads": 2,
        "verdict": Verdict.VALID,
        "samples": 100.0,
    }
    return Trial(**(base | values))


def measured(runtime, mode, rate, joules=None, scope="gpu+cpu", **more):
    return [
        trial(
            runtime,
            mode,
            number,
            throughput_samples_per_s=rate * spread,
            latency_p50_s=1 / rate,
            energy_j_per_sample=joules and joules * spread,
            energy_scope=scope if joules else "none",
            cpu_s=100 * 0.0123,
            memory_peak_b=512 * 1024**2,
            absent=() if joules else (NO_CPU_METER,),
            **more,
        )
        for number, spread in ((1, 0.99), (2, 1.0), (3, 1.01))
    ]


def shown(print_it, *args, width=120, encoding="utf-8", terminal=False, **more):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    print_it(
        *args,
        Console(
            file=file, width=width, force_terminal=terminal, color_system="truecolor" if terminal else None
        ),
        **more,
    )
    return raw.getvalue().decode(encoding)


def table(trials, width=120, left_out=(), **more):
    answer = answer_of(trials, run_id="run", folder="results/run", left_out=left_out)
    return shown(result_table, answer, width=width, **more)


def row(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


ENERGY = [
    *measured("pytorch", "eager", 50.0, 0.5),
    *measured("onnxruntime", "cpu", 40.0, 0.25, source="pytorch"),
]
FIGURES = ["50.00", "40.00", "20.00", "25.00", "0.500 ±0.012", "0.2500 ±0.0062"]


def test_the_cheapest_is_marked_by_a_word_even_where_another_is_faster():
    text = table(ENERGY)
    assert "valid, cheapest" in row(text, "onnxruntime cpu from pytorch")
    assert "cheapest" not in row(text, "pytorch eager")
    assert "fastest" not in text
    assert "no energy" not in text


@pytest.mark.parametrize("width", [40, 50, 60, 66, 72, 80, 100, 120, 200])
def test_figures_are_never_cut_at_any_width(width):
    text = table(ENERGY, width=width)
    dropped = {"20.00", "25.00"} if re.search(r"\(p50.*no room", text) else set()
    for figure in set(FIGURES) - dropped:
        assert figure in text
    assert bool(dropped) == (width == 50)
    assert "…" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_their_width(width):
    text = table(ENERGY, width=width).partition("files:")[0]
    lines = [
        line for line in text.splitlines() if re.match(r"(onnxruntime|pytorch|cpu|eager|from|runtime) ", line)
    ]
    assert lines
    assert max(map(len, lines)) <= width


def test_what_a_narrow_terminal_leaves_out_is_said():
    assert "no room at this width" in table(ENERGY, width=60)
    assert "no room" not in table(ENERGY, width=120)


def test_without_energy_the_fastest_is_marked_and_the_reason_given():
    text = table([*measured("pytorch", "eager", 50.0), *measured("onnxruntime", "cpu", 40.0)])
    assert "valid, fastest" in row(text, "pytorch eager")
    assert "no energy was measured: cpu: no powercap here" in text
    assert "cheapest" not in text


def test_the_hosts_reason_is_given_where_no_trial_got_far_enough_to_tell():
    trials = [trial(verdict=Verdict.FAILED, failure="died")]
    answer = answer_of(trials, run_id="r", folder="f", absent={"gpu": "no driver", "cpu": "no driver"})
    assert answer.no_energy == "gpu, cpu: no driver"


def test_energies_of_different_domains_are_not_compared():
    text = table([*measured("pytorch", "eager", 50.0, 0.5), *measured("jax", "jit", 40.0, 0.25, scope="gpu")])
    assert "cheapest" not in text
    assert "none is marked: energies cover different domains (gpu and gpu+cpu)" in text


def test_an_invalid_cell_is_never_marked():
    text = table([*ENERGY[:3], *measured("jax", "jit", 400.0, 0.01, verdict=Verdict.INVALID)])
    assert "cheapest" in row(text, "pytorch eager")
    assert "invalid" in row(text, "jax jit")


def test_doubts_are_sentences_with_counts_and_the_worst_figure():
    worse = Doubt(rule=Rule.GAP, value=7.5, limit=2.0, verdict=Verdict.DOUBTFUL)
    trials = [
        trial(number=1, throughput_samples_per_s=1.0),
        trial(number=2, doubts=(GAP,), verdict=Verdict.DOUBTFUL, throughput_samples_per_s=1.0),
        trial(number=3, doubts=(worse,), verdict=Verdict.DOUBTFUL, throughput_samples_per_s=1.0),
    ]
    text = table(trials)
    assert "doubtful 2/3" in row(text, "pytorch eager")
    assert (
        "doubtful, 2 of 3 trials: a sensor was not read on time "
        "(gap: worst 7.5, limit 2) in pytorch eager mobilenet_v2"
    ) in text


def test_the_worst_of_a_rule_that_is_broken_from_below_is_the_lowest():
    few = [Doubt(rule=Rule.TOO_SHORT, value=v, limit=32, verdict=Verdict.DOUBTFUL) for v in (20.0, 12.0)]
    trials = [trial(number=n, doubts=(d,), verdict=Verdict.DOUBTFUL) for n, d in enumerate(few, start=1)]
    assert "too_short: worst 12, limit 32" in table(trials)


def test_failed_and_left_out_cells_keep_their_reasons():
    trials = [
        *ENERGY,
        trial("mxnet", "hybrid", verdict=Verdict.FAILED, failure="the container died (exit status 137)"),
    ]
    text = table(trials, left_out=[LeftOut(cell="jax", reason="not in the catalogue")])
    assert "1 trial of mxnet.hybrid.own.mobilenet_v2: the container died (exit status 137)" in text
    assert "jax: not in the catalogue" in text
    assert "failed" in row(text, "mxnet hybrid")
    assert text.rstrip().endswith("files: results/run")


def test_an_invalid_trial_that_was_never_timed_says_why():
    differs = trial(verdict=Verdict.INVALID, failure="outputs differ from the reference")
    assert "outputs differ from the reference" in table([differs])


def test_models_and_batches_are_never_compared_with_each_other():
    text = table(
        [*measured("pytorch", "eager", 50.0, 0.5), *measured("pytorch", "eager", 5.0, 5.0, model="resnet50")]
    )
    assert text.count("cheapest") == 2
    assert "mobilenet_v2, batch 1, fp32" in text
    assert "resnet50, batch 1, fp32" in text


def test_names_are_text_and_never_markup():
    assert "[red]x[/red]" in table([trial(verdict=Verdict.FAILED, failure="[red]x[/red]")])


def test_no_escape_codes_where_it_is_no_terminal_and_colour_where_it_is():
    assert "\x1b" not in table(ENERGY)
    assert "\x1b" in table(ENERGY, terminal=True)


def test_a_terminal_without_unicode_gets_plus_minus_in_ascii():
    text = table(ENERGY, encoding="ascii")
    assert "0.2500 +-0.0062" in text


def test_a_run_without_trials_says_so():
    assert "no trial was measured" in table([])


def test_json_is_the_same_answer_in_si_units():
    values = json.loads(
        json.dumps(answer_as_json(answer_of(ENERGY, run_id="run", folder="f")), allow_nan=False)
    )
    (group,) = values["groups"]
    assert group["marked"] == "onnxruntime.cpu.pytorch.mobilenet_v2"
    assert group["cells"][0]["latency_p50_s"]["mean"] == pytest.approx(0.02)
    assert group["cells"][0]["verdicts"] == {"valid": 3}


def plan_of_two():
    workload = Workload(
        model="resnet50", batch_size=1, precision="fp32", sequence_length=None, weights="matched"
    )
    cells = [
        Cell(
            runtime=name,
            mode="cpu",
            source=None,
            workload=workload,
            path="loop",
            io="device",
            device="cpu",
            threads=2,
            weights_from="seeded",
        )
        for name in ("a", "b")
    ]
    protocol = Protocol(
        window_s=1, windows=1, rounds=2, baseline_host_s=0, baseline_loaded_s=0, warmup_cap_s=1, rest_cap_s=1
    )
    left_out = (LeftOut(cell="mxnet", reason="no kernels"), LeftOut(cell="jax", reason="no kernels"))
    return Plan(loads=order(cells, rounds=2, seed=1), left_out=left_out, protocol=protocol, seed=1)


def test_a_plan_shows_order_time_energy_and_what_is_left_out():
    text = shown(plan_table, plan_of_two(), total_s=200.0, energy_reason="never measured", guessed=True)
    assert [line.split()[0] for line in text.splitlines() if ".resnet50." in line] == list("1234")
    assert "mxnet, jax: no kernels" in text
    assert "2 cells, 2 rounds, 4 loads; about 3 min 20 s (a guess" in text
    assert "no estimate of the energy (never measured)" in text
    assert "about 1234 J" in shown(plan_table, plan_of_two(), total_s=1.0, energy_j=1234.0)
    assert plan_as_json(plan_of_two(), total_s=200.0)["order"][0].startswith("r01.")


def test_status_says_how_far_a_run_is():
    status = RunStatus(
        run_id="run",
        folder="results/run",
        state="running",
        loads_done=1,
        loads_total=4,
        current_load="r02.x",
        begun_utc="2026-01-02T00:00:00.000Z",
        last_utc=None,
        verdicts={Verdict.VALID: 2},
        last_trial=ENERGY[0],
    )
    text = shown(status_table, status)
    assert "run: running" in text
    assert "loads: 1 of 4 done" in text
    assert "begun and not finished: r02.x" in text
    assert "trials: 2 valid" in text
    assert "49.50 samples/s, p50 20.00 ms, 0.4950 J/sample, valid" in text
    assert json.loads(json.dumps(status_as_json(status)))["loads_done"] == 1
