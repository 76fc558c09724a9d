import pytest

from minicnn.profiling.tables import table, wrap


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_a_long_name_gets_a_line_of_its_own_where_the_table_would_be_too_wide(monkeypatch):
    rows = [["layer", "m" * 30, "n" * 30], ["0 Conv2D", "1", "2"], ["1 " + "Long" * 5, "3", "4"]]
    assert table(rows).splitlines() == [
        f"layer             {'m' * 30}  {'n' * 30}",
        f"0 Conv2D          {'1':>30}  {'2':>30}",
        "1 LongLongLongLongLong",
        f"                  {'3':>30}  {'4':>30}",
    ]
    monkeypatch.setenv("COLUMNS", "86")  # 22 + 2 + 30 + 2 + 30
    assert table(rows).splitlines()[-1] == f"1 LongLongLongLongLong  {'3':>30}  {'4':>30}"


def test_the_first_columns_are_flush_left():
    assert table([["case", "by", "s"], ["a", "me", "10"]], left=2, gap=1) == "case by  s\na    me 10"


def test_wrap_breaks_no_word():
    address = "x" * 90
    assert wrap(f"see {address} for more") == f"see\n{address}\nfor more"
    assert wrap("word-word " * 9).splitlines() == [" ".join(["word-word"] * 8), "word-word"]
