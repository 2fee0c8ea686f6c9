"""stub while building"""
from pathlib import Path
def write_report(folder, result): (Path(folder)/"report.html").write_text("stub")
