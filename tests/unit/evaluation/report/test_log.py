"""metrics.jsonl read back."""

from __future__ import annotations

from textdiff.evaluation.report.log import read_log


def test_values_by_name_in_order_of_the_steps(tmp_path):
    file = tmp_path / "metrics.jsonl"
    lines = ['{"step": 20, "loss": 2}', '{"step": 10, "loss": 3.5, "lr": 1}', ""]
    file.write_text("\n".join([*lines, '{"step": 20, "held_out/R@1": 0.5}']))
    log = read_log(file)
    assert log.curves == {
        "loss": [(10, 3.5), (20, 2.0)],
        "lr": [(10, 1.0)],
        "held_out/R@1": [(20, 0.5)],
    }
    assert (log.unreadable, log.last_step, log.last("loss")) == (0, 20, 2.0)
    assert log.last("nothing") is None


def test_what_a_killed_run_leaves_is_passed_over(tmp_path):
    file = tmp_path / "metrics.jsonl"
    whole = b'{"step": 1, "loss": 1, "note": "text", "grad_norm": NaN, "on": true}\n'
    file.write_bytes(whole + b'\xff\n[1]\n{"loss": 3}\n{"step": "x", "loss": 3}\n{"step": 2, "lo')
    log = read_log(file)
    assert log.curves == {"loss": [(1, 1.0)]}
    assert log.unreadable == 5


def test_no_log(tmp_path):
    assert read_log(tmp_path / "metrics.jsonl") is None
    (tmp_path / "metrics.jsonl").touch()
    assert read_log(tmp_path / "metrics.jsonl").last_step is None
