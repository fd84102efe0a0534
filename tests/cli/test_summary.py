"""The table at the end of a run."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from dlx import objects
from dlx.cli.summary import MOST_ROWS, MOST_TRIALS, TrialSummary, as_json, report, summarise

ROW = {
    "trial": "0123456789ab",
    "state": "done",
    "engine": "tensorflow",
    "parameters": 2270,
    "train_loss": 0.1,
    "train_accuracy": 0.991,
    "val_loss": float("nan"),
    "val_accuracy": 0.9512,
    "test_accuracy": None,
    "grad_bias_first_1": 0.0625,
    "grad_bias_first_2": 0.3,
    "grad_bias_first_3": None,
    "grad_bias_last_1": 1e-4,
    "grad_bias_last_2": 0.002,
    "grad_kernel_first_1": None,
    "reason": None,
}


def made(depth: int, seed: int, accuracy: float = 0.95, state: str = "done", layers: int = 2) -> TrialSummary:
    norms = [10.0 ** (layer - layers) * (seed + 1) for layer in range(layers)]
    return TrialSummary(
        f"{depth}-{seed}",
        state,
        {"model.depth": depth},
        seed,
        {"val_accuracy": accuracy},
        {"bias": {"first": norms, "last": norms}},
        reason=None if state == "done" else "the loss is nan",
    )


def test_a_row_of_the_table_of_trials() -> None:
    trial = summarise(ROW, {"model.depth": 1}, 0)
    assert trial.metrics["val_accuracy"] == 0.9512
    assert "test_accuracy" not in trial.metrics
    assert trial.gradients["bias"] == {"first": [0.0625, 0.3], "last": [1e-4, 0.002]}
    assert trial.reason is None


def test_json_has_no_nan() -> None:
    given = json.loads(objects.text("run", as_json(summarise(ROW, {"model.depth": 1}, 0))))
    assert given["metrics"]["val_loss"] == "nan"
    assert given["gradients"] == {"bias": {"first": [0.0625, 0.3], "last": [1e-4, 0.002]}}


def test_one_row_per_trial() -> None:
    lines = report([made(1, 0), made(1, 1), made(2, 0, state="diverged")])
    assert lines[0].split() == ["depth", "seed", "state", "val", "accuracy", "reason"]
    assert lines[2].split() == ["1", "0", "done", "95.00", "%"]
    assert lines[4].split() == ["2", "0", "diverged", "95.00", "%", "the", "loss", "is", "nan"]
    heading = lines.index("‖∂L/∂b‖ per layer, from the input")
    assert lines[heading + 3].split() == ["1", "0", "before", "training", "1.0e-02", "1.0e-01"]
    assert lines[heading + 4].split() == ["after", "training", "1.0e-02", "1.0e-01"]


def test_many_trials_are_pooled_by_setting() -> None:
    accuracies = [0.90 + 0.005 * seed for seed in range(MOST_TRIALS)]
    trials = [made(depth, seed, accuracies[seed]) for depth in (1, 2) for seed in range(MOST_TRIALS)]
    trials[-1] = made(2, MOST_TRIALS - 1, 0.1, state="failed")
    lines = report(trials)
    spread = f"{100 * statistics.mean(accuracies):.2f} ± {100 * statistics.stdev(accuracies):.2f} %"
    assert lines[2].split("  ")[-1].strip() == spread
    assert lines[3].split()[1] == "19/20"
    kept = accuracies[:-1]  # what failed has no part in the mean, however far it came
    assert lines[3].endswith(f"{100 * statistics.mean(kept):.2f} ± {100 * statistics.stdev(kept):.2f} %")
    heading = lines.index("‖∂L/∂b‖ per layer, from the input, median over seeds")
    median = statistics.median(range(1, MOST_TRIALS + 1)) / 100
    assert float(lines[heading + 3].split()[-2]) == pytest.approx(median, rel=0.05)


def test_no_more_rows_than_one_reads() -> None:
    lines = report([made(depth, 0) for depth in range(MOST_ROWS + 7)])
    assert lines[-1] == "7 more rows in trials.csv"


def test_deep_nets_keep_within_the_terminal() -> None:
    lines = report([made(50, 0, layers=51)], width=80)
    table = lines[lines.index("‖∂L/∂b‖ per layer, from the input") :]
    assert max(map(len, table)) <= 80
    assert table[1].split()[-1] == "51"
    assert "…" in table[1]


def test_paths_that_end_alike_are_told_apart() -> None:
    trial = made(1, 0)
    both = TrialSummary(
        trial.id, "done", {"model.name": "mlp", "dataset.name": "digits", "training.seed": 3}, 0, {}, {}
    )
    assert report([both])[0].split()[:3] == ["model.name", "dataset.name", "training.seed"]


def test_regressions_have_their_own_scores() -> None:
    trial = TrialSummary("a", "done", {}, 0, {"val_loss": 0.2, "val_rmse": 0.4, "val_r2": 0.91, "val_mae": 0.3}, {})
    lines = report([trial])
    assert lines[0].split() == ["seed", "state", "val", "rmse", "val", "r2"]
    assert lines[2].split() == ["0", "done", "0.4", "0.91"]


def test_nothing_to_report() -> None:
    assert report([]) == []


def test_deep_nets_are_told_by_block_or_stage(tmp_path: Path) -> None:
    names = [
        "conv_1",
        *(f"stage_{s}_block_{b}_conv_{c}" for s in (1, 2, 3) for b in range(1, 7) for c in (1, 2)),
        "output",
    ]
    rows = [f"{number},{name},Conv2D" for number, name in enumerate(names, start=1)]
    (tmp_path / "layers.csv").write_text("\n".join(["layer,name,type", *rows[:1], "1,conv_1_norm,X", *rows[1:]]) + "\n")
    norms = {"grad_bias_first_38": 0.5, "grad_kernel_first_1": 2.0, "grad_kernel_first_38": 0.25}
    norms |= {f"grad_kernel_first_{number}": 10.0 ** -(1 + (number - 2) // 12) for number in range(2, 38)}
    trial = summarise({"trial": "a", "state": "done", **norms}, {}, 0, str(tmp_path))
    assert trial.gradients["bias"]["first"] == [None] * 37 + [0.5]
    lines = report([trial])
    (at,) = [number for number, line in enumerate(lines) if "per layer" in line]
    assert lines[at].startswith("‖∂L/∂W‖") and lines[at].endswith("of layers together the geometric mean")
    assert lines[at + 1].split() == ["seed", "conv_1", "stage_1", "stage_2", "stage_3", "output"]
    assert lines[at + 3].split()[-5:] == ["2.0e+00", "1.0e-01", "1.0e-02", "1.0e-03", "2.5e-01"]
    # In a terminal of fifty columns there is no room even for that, and ends are shown.
    assert "…" in report([trial], 50)[at + 1]
