// No module, since a page that is opened as a file may not load modules: this says how to look at it.

if (location.protocol === "file:") {
  document.getElementById("problem").textContent = "This page needs a web server. On your own machine: run"
    + " `python -m http.server` in its folder, and open http://127.0.0.1:8000/ instead of the file.";
}
