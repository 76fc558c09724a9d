from minicnn.profiling.installed import distribution, requirements


def test_requirements_are_those_that_are_installed():
    assert {distribution("minicnn"), "numpy", "safetensors"} <= requirements("minicnn")
    assert "tensorflow" not in " ".join(requirements("minicnn"))
    assert {"keras", "h5py", "numpy"} <= requirements("tensorflow")
