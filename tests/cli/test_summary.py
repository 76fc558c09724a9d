import pytest

from minicnn.cli import main


@pytest.mark.parametrize(("model", "parameters"), [("lenet5", "61,706"), ("lenet5-1998", "60,850")])
def test_summary_prints_the_table(model, parameters, capsys):
    assert main(["summary", "--model", model]) == 0
    assert parameters in capsys.readouterr().out.splitlines()[-1]
