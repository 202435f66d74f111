"""Write the dashboards."""

from __future__ import annotations

from dashboards.render import FOLDER, render

FOLDER.mkdir(parents=True, exist_ok=True)
for name, text in render().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
