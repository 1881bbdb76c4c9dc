"""Targets, and whether they are met."""

import json

from benchmarks import targets
from benchmarks.harness import Row
from benchmarks.peers import MKL, NUMBA
from benchmarks.tables import TABLES
from benchmarks.targets import Target, check_targets
from benchmarks.workloads import WORKLOADS

RATIO = Target("twice as fast", "fake", ("nnreg",), ("PyTorch",), least=2.0, rows=("big", "small"))
QUICK = Target("quick", "fake", ("nnreg",), most=0.005)


def test_a_target_is_met_missed_or_not_measured_and_names_the_row():
    rows = [
        Row("big net", "µs", {"nnreg": [1.0], "PyTorch": [3.0]}),
        Row("small net", "µs", {"nnreg": [1.0], "PyTorch": [2.0]}),
        Row("other net", "µs", {"nnreg": [1.0], "PyTorch": [0.1]}),
    ]
    (met,) = check_targets({"fake": rows}, [RATIO])
    assert met.word == "met"
    assert met.line.endswith("twice as fast: 2.00 or more (small net: 2.00)")
    rows.append(Row("big one", "µs", {"nnreg": [1.0], "PyTorch": [0.5]}))
    (missed,) = check_targets({"fake": rows}, [RATIO])
    assert missed.word == "missed"
    assert missed.line.endswith("2.00 or more (big one: 0.50)")
    (unknown,) = check_targets({"fake": rows[2:3]}, [RATIO])
    assert unknown.line == "  not measured  twice as fast: 2.00 or more"
    assert check_targets({"another": rows}, [RATIO]) == []
    assert json.dumps(missed.as_json)


def test_a_target_without_peers_is_an_upper_limit_in_the_unit_of_the_row():
    (met,) = check_targets({"fake": [Row("a save", "ms", {"nnreg": [0.004]})]}, [QUICK])
    assert (met.word, met.line.split(": ", 1)[1]) == ("met", "at most 5.00 ms (a save: 4.00 ms)")
    (missed,) = check_targets({"fake": [Row("a save", "ms", {"nnreg": [0.0061]})]}, [QUICK])
    assert missed.word == "missed"


def test_a_row_whose_products_take_most_of_the_time_counts_as_met():
    figures = {"nnreg": [1.0], "PyTorch": [1.0]}
    shares = {0.89: "missed", 0.91: "met", 1.05: "met", 1.2: "missed"}  # 1.2: by loops of its own
    for share, word in shares.items():
        (result,) = check_targets(
            {"fake": [Row("big", "µs", {**figures, "products": [share]})]}, [RATIO]
        )
        assert result.word == word
        assert set(result.excused) == ({"big"} if word == "met" else set())


def test_every_target_names_a_table_with_its_columns_and_every_workload_has_its_targets():
    tables = {table.name: table for table in TABLES}
    for target in targets.TARGETS:
        table = tables[target.table]
        known = {*table.columns, *(name for ratio in table.ratios for name in ratio.peers)}
        assert known >= {*target.own, *target.peers}
    for workload in WORKLOADS:
        applicable = [
            t for t in targets.TARGETS if t.table == "steps" and workload.name.startswith(t.rows)
        ]
        assert {name for t in applicable for name in t.own} >= {NUMBA, MKL}
