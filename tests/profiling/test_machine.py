import pytest

from minicnn.profiling import machine


@pytest.fixture
def clean(monkeypatch):
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_nothing_is_said_where_no_variable_holds_anything(clean):
    clean.setenv("OMP_PROC_BIND", "true")
    assert machine.limiting_variables() == []


def test_variables_that_hold_blas_are_named(clean):
    clean.setenv("OPENBLAS_CORETYPE", "Prescott")
    clean.setenv("OMP_NUM_THREADS", "1")
    (warning,) = machine.limiting_variables()
    assert warning.startswith(
        "environment variables limit the speed: OMP_NUM_THREADS=1 OPENBLAS_CORETYPE=Prescott"
    )


def test_the_kernel_that_the_processor_would_get_is_found_in_a_process_without_the_variable(clean):
    own = machine.environment()["blas"]
    held = {"blas": [{**pool, "architecture": "Prescott", "num_threads": 0} for pool in own]}
    clean.setenv("OPENBLAS_CORETYPE", "Prescott")
    clean.setattr(machine, "environment", lambda: held)  # the variable is read when NumPy is imported
    (warning,) = machine.limiting_variables()
    for pool in own:
        assert f"BLAS uses the kernel Prescott instead of {pool['architecture']}" in warning
        assert "BLAS starts with 0 threads" in warning


def test_peak_is_beyond_what_a_loop_could_do():
    assert machine.gemm_peak(seconds=0.01) > 1
