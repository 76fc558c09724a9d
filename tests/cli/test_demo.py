import subprocess
import sys

from minicnn.cli import main


def test_demo_refuses_wrong_ports_and_folders(tmp_path, capsys):
    assert main(["demo", "--port", "70000"]) == 2
    assert capsys.readouterr().err == "minicnn demo: --port must be 0 to 65535, got 70000\n"
    assert main(["demo", str(tmp_path / "nowhere")]) == 2
    assert "is not a run folder: `minicnn train` creates those" in capsys.readouterr().err


def test_demo_without_flask_prints_how_to_get_it():
    code = "import sys; sys.modules['flask'] = None; from minicnn.cli import main; sys.exit(main(['demo']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("minicnn demo: the demo needs Flask: pip install")
    assert result.stderr.count("\n") == 1
